"""How many messages wait at the broker."""

from __future__ import annotations

from contextlib import closing

from django.conf import settings
from redis import Redis
from redis.client import Pipeline

from instances.errors import OutOfReachError
from tasks.broker.connection import ANSWER_SECONDS, reaching_broker, redis_at
from tasks.broker.in_hand import TAKE

_TRIED = "dockmgr:tried"  # what keys begin with that say nothing


def queue_lengths(*, writing: bool = False) -> dict[str, int]:
    """Messages in each queue that no worker has taken yet, by a connection of its own.

    Connecting and answering may take ANSWER_SECONDS, each. With `writing` a broker that answers but takes
    nothing, such as one that is full, or does not let workers take anything, is refused as well.
    Raises OutOfReachError.
    """
    names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    try:
        client = redis_at(settings.CELERY_BROKER_URL, ANSWER_SECONDS)
    except ValueError:
        raise OutOfReachError("The broker is no Redis that could be asked (DOCKMGR_BROKER_URL).") from None
    with reaching_broker(), closing(client), client.pipeline(transaction=writing) as asked:
        for name in names:
            asked.llen(f"{settings.BROKER_PREFIX}{name}")
        if writing:
            _try(client, asked)
        return dict(zip(names, asked.execute(), strict=False))


def _try(client: Redis, asked: Pipeline) -> None:
    """What publishing, taking and noting a message take rights for; leaves nothing behind."""
    queue, book, index = (f"{settings.BROKER_PREFIX}{_TRIED}:{what}" for what in ("queue", "book", "index"))
    asked.lpush(queue, "")
    asked.brpop(queue, 1)  # in a transaction it never waits
    asked.hset(book, "", "")
    asked.hdel(book, "")
    asked.zadd(index, {"": 0})
    asked.zrem(index, "")
    client.register_script(TAKE)([index, book, queue], [1, 0, ""], asked)
