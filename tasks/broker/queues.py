"""How many messages wait at the broker."""

from __future__ import annotations

from contextlib import closing

from django.conf import settings

from instances.errors import OutOfReachError
from tasks.broker.connection import ANSWER_SECONDS, reaching_broker, redis_at

_TRIED, _TRIED_SECONDS = "dockmgr:tried", 60  # a key that says nothing


def queue_lengths(*, writing: bool = False) -> dict[str, int]:
    """Messages in each queue that no worker has taken yet, by a connection of its own.

    Connecting and answering may take ANSWER_SECONDS, each. With `writing` a broker that answers but takes
    nothing, such as one that is full, is refused as well. Raises OutOfReachError.
    """
    names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    try:
        client = redis_at(settings.CELERY_BROKER_URL, ANSWER_SECONDS)
    except ValueError:
        raise OutOfReachError("The broker is no Redis that could be asked (DOCKMGR_BROKER_URL).") from None
    with reaching_broker(), closing(client), client.pipeline(transaction=False) as asked:
        for name in names:
            asked.llen(f"{settings.BROKER_PREFIX}{name}")
        if writing:
            asked.set(f"{settings.BROKER_PREFIX}{_TRIED}", "", ex=_TRIED_SECONDS)
        return dict(zip(names, asked.execute(), strict=False))
