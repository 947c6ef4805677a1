"""A connection to Redis breaks while messages are in hand."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from kombu import Connection, Queue

from tasks.broker.unacknowledged import survive_lost_connections

pytestmark = pytest.mark.real


def channel_of(connection: Connection) -> Any:
    return connection.default_channel


def one_in_hand(connection: Connection) -> tuple[str, Any]:
    """A queue's name, and its only message, which was taken and not yet acknowledged."""
    queue = Queue(f"lost-{uuid.uuid4().hex}", channel=connection.default_channel)
    queue.declare()
    connection.Producer().publish({}, routing_key=queue.name)
    message = queue.get()
    assert message
    return str(queue.name), message


@pytest.mark.parametrize("late", ["ack", "reject", "requeue"])
def test_what_is_done_is_done_although_its_message_can_not_be_acknowledged(
    broker_url: str, late: str
) -> None:
    survive_lost_connections()
    connection = Connection(broker_url)
    _, message = one_in_hand(connection)
    channel = channel_of(connection)
    connection._do_close_transport()
    channel.close()
    assert not channel.qos._delivered
    getattr(message, late)()


def test_what_is_in_hand_is_given_back_over_a_connection_that_is_there(broker_url: str) -> None:
    survive_lost_connections()
    connection = Connection(broker_url)
    name, _ = one_in_hand(connection)
    connection.close()
    with Connection(broker_url) as another:
        again = channel_of(another).basic_get(name)
        assert again
        again.ack()
        channel_of(another).queue_delete(name)
