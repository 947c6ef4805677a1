"""A connection to Redis breaks while messages are in hand, or Redis is full and takes no note of them."""

from __future__ import annotations

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.conf import settings
from kombu import Connection, Queue
from redis import Redis
from redis.exceptions import OutOfMemoryError

from dev.servers import redis_server
from dockmgr.results import LookedUpResults
from instances.errors import OutOfReachError
from tasks.app import app
from tasks.broker.queues import queue_lengths

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
    connection = app.connection_for_write(broker_url)
    _, message = one_in_hand(connection)
    channel = channel_of(connection)
    connection._do_close_transport()
    channel.close()
    assert not channel.qos._delivered
    getattr(message, late)()


def test_what_is_in_hand_is_given_back_over_a_connection_that_is_there(broker_url: str) -> None:
    connection = app.connection_for_write(broker_url)
    name, _ = one_in_hand(connection)
    connection.close()
    with app.connection_for_write(broker_url) as another:
        again = channel_of(another).basic_get(name)
        assert again
        again.ack()
        channel_of(another).queue_delete(name)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery's own
def test_a_redis_that_is_full_is_emptied_by_those_who_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        redis_server(tmp_path) as url,
        Redis.from_url(url.replace("redis+socket", "unix")) as server,
        Connection(url) as sender,
        Connection(url) as worker,
    ):
        queue = Queue("full", channel=sender.default_channel)
        queue.declare()
        for number in range(3):
            sender.Producer().publish({"number": number}, routing_key="full")
        server.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            server.set("more", "x")
        monkeypatch.setattr(settings, "CELERY_BROKER_URL", url)
        assert sum(queue_lengths().values()) == 0
        with closing(Celery("full", broker=url, backend=url, set_as_current=False)) as app:
            LookedUpResults(app=app, url=url.replace("redis+", "")).store_result("1", {}, "REVOKED")
        with pytest.raises(OutOfReachError, match="its memory is full"):
            queue_lengths(writing=True)
        taken: list[Any] = []
        with worker.Consumer([Queue("full")], callbacks=[lambda body, message: taken.append(message)]):
            while len(taken) < 3:
                worker.drain_events(timeout=10)
            for message in taken:
                message.ack()
        channel_of(worker).qos.restore_visible()
        assert [message.payload["number"] for message in taken] == [0, 1, 2]
        assert server.llen("full") == 0
        server.config_set("maxmemory", 0)
        server.replicaof("127.0.0.1", "1")
        with worker.Consumer([Queue("full")]), pytest.raises(TimeoutError):
            worker.drain_events(timeout=1)
    assert "it is a replica" in caplog.text
    told = [record.getMessage() for record in caplog.records if "its memory is full" in record.getMessage()]
    assert 1 <= len(told) <= 3, told
