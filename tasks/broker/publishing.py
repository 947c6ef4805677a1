"""Publishing many messages of one task at the least cost: what they share is worked out once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from celery import Celery, Task

from tasks.broker.foreign import signed
from tasks.broker.transport import Channel

# Stand in a model of the message for what each has of its own, and occur nowhere else in it.
_ID, _BODY = str(UUID(int=0)), "the body of a message"
_JSON = msgspec.json.Encoder()
IDS_AT_ONCE = 256
_FORM = {"content_type": "application/json", "content_encoding": "utf-8"}


def publish_many(
    app: Celery, task: Task[..., Any], many: Iterable[Mapping[str, Any]], expires: timedelta
) -> None:
    """Send one message for each mapping of keyword arguments, some hundreds at a time over one connection.

    They are what `apply_async(kwargs=…, expires=…, ignore_result=True)` would send: signed, and worthless
    after `expires`. No argument is told in a log. Raises what `LOST_BROKER` names without a broker; then
    some of the messages may have been sent.
    """
    # Celery makes the message, whatever its protocol is; only the id differs from one to the next.
    model: Any = app.amqp.as_task_v2(
        _ID, task.name, expires=expires.total_seconds(), ignore_result=True, argsrepr="", kwargsrepr="",
        time_limit=task.time_limit, soft_time_limit=task.soft_time_limit,
    )  # fmt: skip
    embedded = model.body[2]
    bodies = (_JSON.encode([[], kwargs, embedded]).decode() for kwargs in many)
    queue = app.amqp.queues[app.conf.task_routes[task.name]["queue"]]
    headers, properties = signed(model.headers), {**model.properties, "delivery_mode": 2}
    ids = _ids()
    with app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel
        if isinstance(channel, Channel):
            producer.maybe_declare(queue)
            envelope = _envelope(channel.prepare_message(_BODY, None, **_FORM, headers=headers,
                                                         properties=properties), queue.name, ids)  # fmt: skip
            channel.put_many(queue.name, map(envelope, bodies))
            return
        for body in bodies:  # a broker that is no Redis, such as the one tests have in memory
            own = json.loads(json.dumps([headers, properties]).replace(_ID, next(ids)))
            said: dict[str, Any] = {**own[1], **_FORM, "headers": own[0], "declare": [queue]}
            producer.publish(body, exchange="", routing_key=queue.name, **said)


def _ids() -> Iterator[str]:
    """Random UUIDs. To ask the system for each would let the other threads go first each time."""
    while True:
        random = os.urandom(IDS_AT_ONCE * 16)
        for place in range(0, len(random), 16):
            yield str(UUID(bytes=random[place : place + 16], version=4))


def _envelope(message: dict[str, Any], queue: str, ids: Iterator[str]) -> Callable[[str], str]:
    """What makes the message of a body, as kombu keeps it in Redis; the body stays readable there."""
    message["properties"] |= {
        "body_encoding": None,
        "delivery_tag": _ID,
        "delivery_info": {"exchange": "", "routing_key": queue},
    }
    before, after = json.dumps(message, separators=(",", ":")).split(json.dumps(_BODY))

    def envelope(body: str) -> str:
        own = next(ids)
        return f"{before.replace(_ID, own)}{_JSON.encode(body).decode()}{after.replace(_ID, own)}"

    return envelope
