"""Messages a worker has in hand when its connection to Redis breaks."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis, virtual


class LastingQoS(redis.QoS):
    """Gives back and acknowledges what it holds over a connection that is there, and forgets it else.

    Redis hands such messages out again by itself, and an operation that is over is not done twice.
    kombu's own ends the worker then: it asks a connection that is gone where its server is.
    """

    @property
    def _is_cut(self) -> bool:
        return getattr(self.channel.connection, "client", None) is None

    def restore_unacked(self, client: Any = None) -> None:
        if not self._is_cut:
            super().restore_unacked(client)
        elif self._delivered:
            self._delivered.clear()

    def ack(self, delivery_tag: str) -> None:
        end = virtual.QoS.ack if self._is_cut else redis.QoS.ack
        end(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if self._is_cut:
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().reject(delivery_tag, requeue)


def survive_lost_connections() -> None:
    """From now on this process outlives the loss of a broker, whatever it has in hand."""
    redis.Channel.QoS = LastingQoS
