"""Messages a worker has in hand when its connection to Redis breaks, or when Redis takes no writes."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from queue import Empty
from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import ResponseError

from tasks.broker.reasons import is_of_the_message
from tasks.outages import SaidOnce

logger = logging.getLogger(__name__)
_IN_HAND, _TAKEN = SaidOnce(logger), SaidOnce(logger)
_REFUSED_SECONDS = 1.0  # between two tries to take a message from a Redis that refuses


def drop(error: Exception, which: str) -> None:
    """Say that a message is dropped for what was met with it: Celery's worker would end.

    Raises what is no fault of the message.
    """
    if not is_of_the_message(error):
        raise error
    logger.error("A message %s is dropped: %s.", which, type(error).__name__)


class LastingQoS(redis.QoS):
    """Gives back and acknowledges what it holds over a connection that is there, and forgets it else.

    Redis hands such messages out again by itself, and an operation that is over is not done twice.
    kombu's own ends the worker then: it asks a connection that is gone where its server is. It also ends it,
    and loses the message, where Redis does not take the note that a message is in hand: a Redis that is
    full would never be emptied.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        try:
            super().append(message, delivery_tag)
        except ResponseError as error:  # the message is off its queue already
            _IN_HAND.failed("Noting at the broker what is in hand", error)
            virtual.QoS.append(self, message, delivery_tag)
        else:
            _IN_HAND.worked()

    def _remove_from_indices(self, delivery_tag: str, pipe: Any = None) -> Any:
        if pipe is not None:
            return super()._remove_from_indices(delivery_tag, pipe)  # type: ignore[misc]  # older stubs
        channel: Any = self.channel
        with channel.conn_or_acquire() as client:  # a full Redis refuses all of a transaction
            done = client.pipeline(transaction=False)
            return done.zrem(self.unacked_index_key, delivery_tag).hdel(self.unacked_key, delivery_tag)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().restore_visible(*args, **kwargs)
        except ResponseError as error:
            _IN_HAND.failed("Handing out again what nobody finished", error)

    def restore_by_tag(self, tag: Any, *args: Any, **kwargs: Any) -> None:
        try:
            super().restore_by_tag(tag, *args, **kwargs)
        except Exception as error:  # else it would be tried, and told with a traceback, every few seconds
            drop(error, "that was in hand")
            self._remove_from_indices(tag).execute()

    @property
    def _is_cut(self) -> bool:
        return getattr(self.channel.connection, "client", None) is None

    def restore_unacked(self, client: Any = None) -> None:
        try:
            if not self._is_cut:
                super().restore_unacked(client)
        except ResponseError as error:
            _IN_HAND.failed("Giving back to the broker what is in hand", error)
        if self._delivered:
            self._delivered.clear()

    def ack(self, delivery_tag: str) -> None:
        end = virtual.QoS.ack if self._is_cut else redis.QoS.ack
        end(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._is_cut:
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().reject(delivery_tag, requeue)


class LastingChannel(redis.Channel):
    """Works on what waits in a Redis that is full, which refuses whatever is written or in a transaction."""

    QoS = LastingQoS

    def _brpop_read(self, **options: Any) -> Any:
        try:
            taken = super()._brpop_read(**options)  # type: ignore[misc]  # older stubs
        except ResponseError as error:  # from a replica, or one that can't save, it would connect for ever
            _TAKEN.failed("Taking messages", error)
            time.sleep(_REFUSED_SECONDS)
            raise Empty from None
        except Empty:
            raise
        except Exception as error:  # what waited is no message; it is off its queue already
            drop(error, "that can't be read")
            raise Empty from None
        _TAKEN.worked()
        return taken

    def _receive_one(self, *args: Any) -> Any:
        try:
            return super()._receive_one(*args)  # type: ignore[misc]  # older stubs
        except Empty:  # it has been told
            raise
        except Exception as error:
            drop(error, "to all workers")
            return None

    def _queue_bind(self, *args: Any) -> None:
        # It is there since the first start; where it is not, what is published next says why.
        with suppress(ResponseError):
            super()._queue_bind(*args)  # type: ignore[misc]  # older stubs

    def _size(self, queue: str) -> int:
        own: Any = self
        with own.conn_or_acquire() as client, client.pipeline(transaction=False) as asked:
            for priority in own.priority_steps:
                asked.llen(own._q_for_pri(queue, priority))
            return int(sum(asked.execute()))
