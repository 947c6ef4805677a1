"""Asking the broker for a sign of life before it is trusted with a message."""

from __future__ import annotations

from contextlib import closing

from tasks.app import app
from tasks.broker.connection import ANSWER_SECONDS, reaching_broker, redis_at

REDIS_SCHEMES = ("redis:", "rediss:", "redis+socket:")


def require_broker() -> None:
    """Have the broker answer within a second. Raises OutOfReachError.

    For those somebody waits for: publishing itself would hold on to a silent broker for half a minute.
    """
    url = str(app.conf.broker_url)
    if url.startswith(REDIS_SCHEMES):
        with reaching_broker(), closing(redis_at(url, ANSWER_SECONDS)) as client:
            client.ping()
