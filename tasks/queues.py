"""How many messages wait at the broker."""

from __future__ import annotations

from contextlib import closing

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from instances.errors import OutOfReachError
from tasks.broker import reaching_broker

ANSWER_SECONDS = 1.0


def queue_lengths(timeout: float = ANSWER_SECONDS) -> dict[str, int]:
    """Messages in each queue that no worker has taken yet, by a connection of its own.

    `timeout` (seconds) bounds connecting and answering, each. Raises OutOfReachError.
    """
    names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    with reaching_broker(), closing(_client(timeout)) as client, client.pipeline(transaction=False) as asked:
        for name in names:
            asked.llen(f"{settings.BROKER_PREFIX}{name}")
        return dict(zip(names, asked.execute(), strict=True))


def _client(timeout: float) -> Redis:
    """Without the retries a worker has: whoever asks wants to know how it stands now."""
    url = settings.CELERY_BROKER_URL.replace("redis+socket://", "unix://", 1)
    once = Retry(NoBackoff(), retries=0)
    try:
        return Redis.from_url(url, retry=once, socket_timeout=timeout, socket_connect_timeout=timeout)
    except ValueError:
        raise OutOfReachError("The broker is no Redis that could be asked (DOCKMGR_BROKER_URL).") from None
