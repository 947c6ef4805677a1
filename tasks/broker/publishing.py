"""Publishing many messages of one task at the least cost: what they share is worked out once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from celery import Celery, Task

from tasks.broker.foreign import signed


def publish_many(
    app: Celery, task: Task[..., Any], many: Iterable[Mapping[str, Any]], expires: timedelta
) -> None:
    """Send one message for each mapping of keyword arguments, in batches over one connection.

    They are what `apply_async(kwargs=…, expires=…, ignore_result=True)` would send: signed, and worthless
    after `expires`. No argument is told in a log. Raises what `LOST_BROKER` names without a broker; then
    some of the messages may have been sent.
    """
    # Celery makes the message, whatever its protocol is; only the id differs from one to the next.
    model: Any = app.amqp.as_task_v2(
        "", task.name, expires=expires.total_seconds(), ignore_result=True, argsrepr="", kwargsrepr="",
        time_limit=task.time_limit, soft_time_limit=task.soft_time_limit,
    )  # fmt: skip
    headers, embedded = signed(model.headers), model.body[2]
    queue = app.amqp.queues[app.conf.task_routes[task.name]["queue"]]
    with app.producer_pool.acquire(block=True) as producer, _batch(producer):
        declare: list[Any] = [queue]
        for kwargs in many:
            task_id = str(uuid4())
            producer.publish(
                json.dumps([[], kwargs, embedded], separators=(",", ":")),
                exchange="",
                routing_key=queue.name,
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=2,
                headers={**headers, "id": task_id, "root_id": task_id},
                declare=declare,
                **{**model.properties, "correlation_id": task_id},
            )
            declare = []


def _batch(producer: Any) -> AbstractContextManager[Any]:
    """kombu's batch mode, which its type stubs do not know yet."""
    batch: AbstractContextManager[Any] = producer.batch()
    return batch
