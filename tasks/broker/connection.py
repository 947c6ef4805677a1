"""The broker: a sign of life before it is trusted, and what its silence means to a caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from instances.errors import OutOfReachError
from tasks.app import app
from tasks.broker.reasons import LOST_BROKER, broker_sentence

ANSWER_SECONDS = 1.0
REDIS_SCHEMES = ("redis:", "rediss:", "redis+socket:")


@contextmanager
def reaching_broker() -> Iterator[None]:
    """Turn a broker's failures into one sentence. Raises OutOfReachError."""
    try:
        yield
    except (*LOST_BROKER, RuntimeError) as error:  # the last is how results give up
        raise OutOfReachError(broker_sentence(error)) from None


def redis_at(url: str, timeout: float) -> Redis:
    """A client that gives up after `timeout` seconds of connecting or waiting, and does not try again.

    Raises ValueError for a URL that is no Redis'.
    """
    return Redis.from_url(
        url.replace("redis+socket://", "unix://", 1),
        retry=Retry(NoBackoff(), retries=0),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
    )


def require_broker() -> None:
    """Have the broker answer within a second. Raises OutOfReachError.

    For calls that somebody waits for: publishing itself would hold on to a silent broker for half a minute.
    """
    url = str(app.conf.broker_url)
    if url.startswith(REDIS_SCHEMES):
        with reaching_broker(), closing(redis_at(url, ANSWER_SECONDS)) as client:
            client.ping()
