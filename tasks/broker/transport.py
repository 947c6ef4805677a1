"""kombu's transport for Redis: keeps its client, and lets a worker take a queue's messages many at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

from kombu.transport import redis
from kombu.utils.json import loads
from redis.exceptions import ResponseError

from tasks.broker.in_hand import InHand
from tasks.broker.message import Message, read
from tasks.broker.unacknowledged import LastingChannel, LastingQoS, drop
from tasks.outages import SaidOnce

logger = logging.getLogger(__name__)

TAKE_EVERY = 0.1  # seconds
PUT_AT_ONCE = 500
RENEW_EVERY = 20.0  # seconds, a third of the lease


class Taker(Protocol):
    """Who wants the messages of a queue many at a time."""

    @property
    def queue(self) -> str: ...

    @property
    def in_hand(self) -> InHand: ...

    def room(self) -> int:
        """How many it would take now."""

    def takes(self, message: Message) -> bool:
        """Begin what a message that is in hand asks for; False when only Celery can."""


class QoS(LastingQoS):
    """Leaves to its taker what was taken many at a time."""

    def append(self, message: Any, delivery_tag: str) -> None:
        if self._taken(delivery_tag) is None:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        taken = self._taken(delivery_tag)
        if taken is None:
            super().ack(delivery_tag)
        else:
            taken.done([delivery_tag])

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        taken = self._taken(delivery_tag)
        if taken is None:
            super().reject(delivery_tag, requeue)
        elif requeue:
            taken.let_go([delivery_tag])
            self.restore_by_tag(delivery_tag, leftmost=True)
        else:
            taken.done([delivery_tag])

    def _taken(self, delivery_tag: str) -> InHand | None:
        """Where the message is in hand, if it is there."""
        taker: Taker | None = getattr(self.channel.connection, "taker", None)
        return taker.in_hand if taker is not None and delivery_tag in taker.in_hand else None


class Channel(LastingChannel):
    """Keeps the client that kombu builds anew for each command."""

    QoS = QoS
    _kept: Any = None

    @property
    def taker(self) -> Taker | None:
        """Who takes, while this is a channel of a worker with an event loop."""
        transport: Any = self.connection
        taker: Taker | None = getattr(transport, "taker", None)
        return taker

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        yield client or self._client_at_hand()

    def _client_at_hand(self) -> Any:
        if self._kept is None or self._kept.connection_pool is not self.pool:
            kombus: Any = self
            self._kept = kombus._create_client()
        return self._kept

    def _update_queue_cycle(self) -> None:
        kombus: Any = self
        taken = self.taker.queue if self.taker else None
        kombus._queue_cycle.update(queue for queue in self.active_queues if queue != taken)

    def put_many(self, queue: str, messages: Iterable[str]) -> None:
        """Have these messages, in kombu's form, wait at the end of a queue. Raises RedisError."""
        own: Any = self
        key, left = own._q_for_pri(queue, own.default_priority), iter(messages)
        with self.conn_or_acquire() as client:
            while some := list(islice(left, PUT_AT_ONCE)):
                client.lpush(key, *some)

    def take_many(self) -> None:
        """Take and deliver as many messages as there is room for."""
        taker = self.taker
        if taker is None or taker.queue not in self.active_queues or (room := taker.room()) < 1:
            return
        kombus: Any = self
        keys = [
            f"{self.global_keyprefix}{kombus._q_for_pri(taker.queue, step)}" for step in self.priority_steps
        ]
        taken = taker.in_hand.take(keys, taker.queue, room)
        readable = [(raw, read(raw)) for raw in taken]
        messages = [(raw, *known) for raw, known in readable if known]
        for unreadable in (raw for raw, known in readable if not known):
            _drop(unreadable, taker)
        taker.in_hand.hold(tag for _, tag, _ in messages)
        for place, (raw, _, message) in enumerate(messages):
            try:
                if message is None or not taker.takes(message):
                    self._leave_to_celery(raw, taker)
            except Exception:  # else they would be held, and never made, for as long as this process lives
                taker.in_hand.let_go(tag for _, tag, _ in messages[place:])
                raise

    def _leave_to_celery(self, raw: bytes, taker: Taker) -> None:
        try:
            message = loads(raw.decode())
        except Exception:  # it makes objects of what it reads
            _drop(raw, taker)
        else:
            self.connection._deliver(message, taker.queue)


def _drop(raw: bytes, taker: Taker) -> None:
    taker.in_hand.drop(raw)
    logger.error("A message on queue %s that can't be read is dropped.", taker.queue)


class Transport(redis.Transport):
    """Has its channels take many messages at a time, when a taker asked for it and there is an event loop."""

    Channel = Channel
    taker: Taker | None = None

    def _deliver(self, message: Any, queue: str | None) -> None:
        """Have Celery begin a message. One it stumbles over is not handed out again, to any worker."""
        try:
            super()._deliver(message, queue)
        except Exception as error:
            drop(error, f"on queue {queue}")
            self._reject(message)

    def _reject(self, message: Any) -> None:
        properties = message.get("properties") if isinstance(message, dict) else None
        tag = properties.get("delivery_tag") if isinstance(properties, dict) else None
        channels: Any = self.channels
        for channel in channels if isinstance(tag, str) else ():
            channel.qos.reject(tag)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, loop)
        loop.call_repeatedly(TAKE_EVERY, self._turn, SaidOnce(logger), "Taking messages", self._take)
        loop.call_repeatedly(RENEW_EVERY, self._turn, SaidOnce(logger), "Keeping messages", self._renew)

    @staticmethod
    def _turn(once: SaidOnce, what: str, turn: Callable[[], None]) -> None:
        """A Redis that refuses is told once; one that is lost is for the worker, which connects again."""
        try:
            turn()
        except ResponseError as error:
            once.failed(what, error)
        else:
            once.worked()

    def _take(self) -> None:
        channels: Any = self.channels
        for channel in list(channels):
            channel.take_many()

    def _renew(self) -> None:
        if self.taker is not None:
            self.taker.in_hand.renew()
