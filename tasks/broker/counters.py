"""Counters that all web processes share, kept by the broker's Redis; without it nothing is counted."""

from __future__ import annotations

import logging
import threading
from time import monotonic

import redis
from django.conf import settings

from tasks.broker.connection import redis_at
from tasks.broker.reasons import broker_sentence

logger = logging.getLogger(__name__)

TIMEOUT = 0.5  # seconds a call may be held up by a counter
REST = 5.0  # seconds a Redis that failed is left alone
SAID_EVERY = 60.0


class Counter:
    """Counts in Redis at `url`; keys begin with `prefix`."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url, self._prefix = url, prefix
        self._client: redis.Redis | None = None
        self._rest_until = self._said = float("-inf")
        self._lock = threading.Lock()

    def add(self, key: str, keep: int) -> int | None:
        """One more of `key`, which is forgotten `keep` seconds after its last one; returns how many.

        None when the counter is out of reach. That is logged once a minute.
        """
        if monotonic() < self._rest_until:
            return None
        try:
            with self._connected().pipeline(transaction=False) as pipeline:
                pipeline.incr(f"{self._prefix}dockmgr:count:{key}")
                pipeline.expire(f"{self._prefix}dockmgr:count:{key}", keep)
                return int(pipeline.execute()[0])
        except (redis.RedisError, OSError, ValueError) as error:  # ValueError: a broker that is no Redis
            self._failed(error)
            return None

    def _connected(self) -> redis.Redis:
        with self._lock:
            if self._client is None:
                self._client = redis_at(self._url, TIMEOUT)
            return self._client

    def _failed(self, error: Exception) -> None:
        now = monotonic()
        with self._lock:
            self._rest_until = now + REST
            telling = now - self._said >= SAID_EVERY
            if telling:
                self._said = now
        if telling:
            logger.warning("Calls of the API are not being counted: %s", broker_sentence(error))


COUNTER = Counter(settings.CELERY_BROKER_URL, settings.BROKER_PREFIX)
