"""Messages taken from Redis many at a time: none is lost with who took it, none that is done comes again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.utils.json import loads
from redis.exceptions import ResponseError

from dev.servers import redis_server
from instances.checks.check_requests import request_as_listed
from tasks import checks
from tasks.app import app
from tasks.broker import in_hand, transport
from tasks.broker.in_hand import InHand
from tasks.broker.message import Message
from tests.fast.conftest import a_world, broker_at

pytestmark = pytest.mark.real
assert app.main  # whose transport it is
HOUR = 3600.0
MESSAGES = 5


@dataclass
class Bench:
    """A queue of five messages, and a worker's two ways to them."""

    connection: Connection
    queue: Queue
    taker: InHand

    @property
    def channel(self) -> Any:
        return self.connection.default_channel

    def take(self, most: int) -> list[str]:
        """The tags of what was taken."""
        keys = [self.channel.global_keyprefix + self.queue.name]
        found = self.taker.take(keys, self.queue.name, most)
        tags = [_tag(raw) for raw in found]
        for tag in tags:
            self.taker.hold([tag])
        return tags

    def hand_out_again(self) -> None:
        """What any other worker does every five seconds."""
        self.channel.qos._vrestore_count = 0
        self.channel.qos.restore_visible(num=None)

    def waiting(self) -> list[Any]:
        messages = list(iter(lambda: self.queue.get(no_ack=True), None))
        return [(message.payload, bool(message.headers.get("redelivered"))) for message in messages]


def _tag(raw: bytes) -> str:
    return str(loads(raw.decode())["properties"]["delivery_tag"])


@contextmanager
def a_bench(url: str) -> Iterator[Bench]:
    prefix = f"in-hand-{uuid.uuid4().hex}-"
    options = {"global_keyprefix": prefix, "visibility_timeout": HOUR}
    with Connection(url, transport_options=options) as connection:
        queue = Queue("health", channel=connection.default_channel)
        queue.declare()
        for number in range(MESSAGES):
            connection.Producer().publish([number], routing_key=queue.name)
        yield Bench(connection, queue, InHand.at(url, prefix, HOUR))


@pytest.fixture
def bench(broker_url: str) -> Iterator[Bench]:
    with a_bench(broker_url) as made:
        yield made
        with made.channel.conn_or_acquire() as client:
            prefix = made.channel.global_keyprefix
            for key in client.keys(f"{prefix}*"):
                client.delete(key.decode().removeprefix(prefix))


def test_what_is_held_is_nobody_elses_and_what_is_done_is_gone(bench: Bench) -> None:
    taken = bench.take(3)
    assert (len(taken), bench.taker.number()) == (3, 3)
    bench.taker.done(taken[:2])
    bench.taker.set_aside(taken)
    bench.hand_out_again()
    assert (bench.waiting(), bench.taker.number()) == ([([3], False), ([4], False)], 0)


def test_what_a_killed_worker_held_comes_again_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_hand, "LEASE", -1.0)
    first, *_ = bench.take(2)
    bench.taker.done([first])
    bench.hand_out_again()
    assert bench.waiting() == [([1], True), ([2], False), ([3], False), ([4], False)]


def test_a_worker_that_lives_keeps_what_it_holds_and_gives_it_back_when_it_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_hand, "LEASE", -1.0)
    bench.take(9)
    monkeypatch.undo()
    bench.taker.renew()
    bench.hand_out_again()
    assert bench.waiting() == []
    bench.taker.release()
    bench.hand_out_again()
    assert sorted(bench.waiting()) == [([number], True) for number in range(5)]


def test_an_acknowledgement_redis_did_not_hear_is_told_with_the_next(bench: Bench, broker_url: str) -> None:
    taken = bench.take(2)
    client, away = bench.taker._client, InHand.at("redis://127.0.0.1:9/0", "", HOUR)._client
    bench.taker._client = away
    bench.taker.done(taken[:1])
    bench.taker._client = client
    bench.taker.done(taken[1:])
    bench.taker.hold([taken[0]])
    bench.taker.release()
    bench.hand_out_again()
    assert [payload for payload, _ in bench.waiting()] == [[2], [3], [4]]


def test_one_it_did_not_hear_alone_is_told_when_what_is_held_is_renewed(bench: Bench) -> None:
    [tag] = bench.take(1)
    client, away = bench.taker._client, InHand.at("redis://127.0.0.1:9/0", "", HOUR)._client
    bench.taker._client = away
    bench.taker.done([tag])
    bench.taker._client = client
    bench.taker.renew()
    bench.taker.hold([tag])
    bench.taker.release()
    bench.hand_out_again()
    assert [payload for payload, _ in bench.waiting()] == [[1], [2], [3], [4]]


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_redis_that_refuses_loses_nothing(tmp_path: Path, trouble: str) -> None:
    with redis_server(tmp_path) as url, a_bench(url) as bench, bench.channel.conn_or_acquire() as client:
        if trouble == "full":
            client.config_set("maxmemory", 1)
        else:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with suppress(ResponseError):
            bench.take(3)
        assert client.llen(bench.queue.name) + client.hlen("unacked") == MESSAGES
        assert client.hlen("unacked") == client.zcard(f"{bench.channel.global_keyprefix}unacked_index")


def test_a_message_that_is_none_is_taken_off_and_registered_nowhere(bench: Bench) -> None:
    bench.waiting()
    with bench.channel.conn_or_acquire() as client:
        for raw in ("no json", "[1]", '{"properties": 3}'):
            client.lpush(bench.queue.name, raw)
    key = bench.channel.global_keyprefix + bench.queue.name
    assert bench.taker.take([key], bench.queue.name, 9) == [b"no json", b"[1]", b'{"properties": 3}']
    bench.hand_out_again()
    assert bench.waiting() == []


def test_what_begins_as_a_message_and_is_none_is_not_handed_out_again(bench: Bench) -> None:
    bench.waiting()
    key = bench.channel.global_keyprefix + bench.queue.name
    with bench.channel.conn_or_acquire() as client:
        client.lpush(bench.queue.name, '{"properties": {"delivery_tag": "t"}')
        [raw] = bench.taker.take([key], bench.queue.name, 9)
        assert client.hlen("unacked") == 1
        bench.taker.drop(raw)
        assert (client.hlen("unacked"), client.zcard(f"{bench.channel.global_keyprefix}unacked_index")) == (
            0,
            0,
        )


def test_a_tag_that_is_escaped_is_registered_as_it_is_read(bench: Bench) -> None:
    bench.waiting()
    key = bench.channel.global_keyprefix + bench.queue.name
    with bench.channel.conn_or_acquire() as client:
        client.lpush(bench.queue.name, r'{"properties": {"delivery_tag": "a\u0062"}}')
        assert len(bench.taker.take([key], bench.queue.name, 9)) == 1
        assert client.hkeys(f"{bench.channel.global_keyprefix}unacked") == [b"ab"]


class Taking:
    """Takes the checks of a queue, and notes them."""

    queue = "health"

    def __init__(self, in_hand: InHand) -> None:
        self.in_hand, self.taken = in_hand, list[str]()

    def room(self) -> int:
        return 9

    def takes(self, message: Message) -> bool:
        if message.headers.task == "check":
            self.taken.append(message.properties.delivery_tag)
        return message.headers.task == "check"


@pytest.mark.parametrize("odd", [b"\xff", b'", "a": "\xed\xa0\x80'])
def test_one_that_nobody_can_read_keeps_none_of_the_others(bench: Bench, odd: bytes) -> None:
    bench.waiting()
    transport_of: Any = bench.connection.transport
    transport_of.taker = taking = Taking(bench.taker)
    bench.channel._active_queues.append(bench.queue.name)
    said = (
        b'{"body": "", "content-type": "", "headers": {"task": "%b"}, "properties": {"delivery_tag": "%b"}}'
    )
    with bench.channel.conn_or_acquire() as client:
        for task, tag in ((b"other" + odd, b"odd"), (b"check", b"one"), (b"check", b"two")):
            client.lpush(bench.queue.name, said % (task, tag))
        bench.channel.take_many()
        assert taking.taken == ["one", "two"]
        assert set(client.hkeys(f"{bench.channel.global_keyprefix}unacked")) == {b"one", b"two"}


@pytest.mark.parametrize("odd", [b"", b"x", b"[]", b"7", b"{}", b"\xff", b"[" * 5000, b'{"properties": {}}',
                                 b'{"__type__": "uuid", "__value__": 7}'])  # fmt: skip
def test_what_is_no_message_ends_no_worker(bench: Bench, odd: bytes) -> None:
    bench.waiting()
    with bench.channel.conn_or_acquire() as client:
        client.lpush(bench.queue.name, odd)
        bench.connection.Producer().publish("good", routing_key=bench.queue.name)
        assert _consumed(bench) == ["good"]
        assert client.hlen("unacked") == 0


@pytest.mark.parametrize("odd", [b"x", b"7", b"[]", b"[" * 5000])
def test_what_is_no_message_is_not_handed_out_again(bench: Bench, odd: bytes) -> None:
    with bench.channel.conn_or_acquire() as client:
        client.hset("unacked", "odd", odd)
        client.zadd("unacked_index", {"odd": 1})
        index = f"{bench.channel.global_keyprefix}unacked_index"
        assert client.zscore(index, "odd") == 1
        bench.hand_out_again()
        assert (client.hget("unacked", "odd"), client.zscore(index, "odd")) == (None, None)
    assert len(bench.waiting()) == MESSAGES


@pytest.mark.parametrize("odd", [b"x", b"7", b"[" * 5000, b'{"body": ""}'])
def test_what_is_no_message_to_all_ends_no_worker(bench: Bench, odd: bytes) -> None:
    bench.waiting()
    everybody = Exchange("everybody", type="fanout", durable=False)
    heard: list[Any] = []
    for_me = Queue("me", everybody, channel=bench.channel, auto_delete=True)
    with bench.connection.Consumer(for_me, callbacks=[lambda body, _: heard.append(body)], no_ack=True):
        with suppress(TimeoutError):  # listens from now on
            bench.connection.drain_events(timeout=0.1)
        with bench.channel.conn_or_acquire() as client:
            client.publish(bench.channel.keyprefix_fanout + "everybody", odd)
        bench.connection.Producer().publish("good", exchange=everybody)
        while not heard:
            with suppress(TimeoutError):
                bench.connection.drain_events(timeout=1)
    assert heard == ["good"]


def test_a_message_that_is_stumbled_over_ends_no_worker_and_does_not_come_again(bench: Bench) -> None:
    bench.waiting()
    for number in (0, 1):
        bench.connection.Producer().publish(number, routing_key=bench.queue.name)
    assert _consumed(bench, lambda number: 1 // number) == [1]
    with bench.channel.conn_or_acquire() as client:
        assert client.hlen("unacked") == 0


def _consumed(bench: Bench, stumble: Callable[[int], object] = bool) -> list[Any]:
    """What a worker has of the queue when it has the first message that it can begin."""
    begun: list[Any] = []

    def begin(body: Any, message: Any) -> None:
        stumble(body)
        begun.append(body)
        message.ack()

    with bench.connection.Consumer(bench.queue, callbacks=[begin]):
        while not begun:
            with suppress(TimeoutError):
                bench.connection.drain_events(timeout=1)
    return begun


@pytest.mark.parametrize("header", ["delivery_tag", 'say "delivery_tag": "no"'])
def test_a_tag_that_a_message_names_twice_is_the_one_of_its_properties(bench: Bench, header: str) -> None:
    bench.waiting()
    bench.connection.Producer().publish([7], routing_key=bench.queue.name, headers={header: "another"})
    [tag] = bench.take(1)
    bench.taker.release()
    bench.hand_out_again()
    [(payload, is_again)] = bench.waiting()
    assert (payload, is_again, tag == "another") == ([7], True, False)


@pytest.mark.django_db
def test_many_are_published_as_celery_publishes_one(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world(monkeypatch)
    prefix = f"published-{uuid.uuid4().hex}-"
    monkeypatch.setitem(app.conf, "broker_transport_options", {"global_keyprefix": prefix})
    monkeypatch.setattr(transport, "PUT_AT_ONCE", 2)
    requests = [request_as_listed(world.instance(f"c{number}"), world.outside.engines) for number in range(5)]
    with broker_at(broker_url, monkeypatch) as sent:
        checks.publish(requests, timedelta(seconds=60))
        many = sent("health")
        for request in requests:
            kwargs = {"customer_id": request.customer_id, "request": request.message()}
            send: Any = checks.check_health.apply_async
            send(kwargs=kwargs, expires=60, ignore_result=True, argsrepr="", kwargsrepr="")
        alone = sent("health")
    assert [m.kwargs for m in many] == [m.kwargs for m in alone], "in the order they were given"
    assert [_shared(m.headers) for m in many] == [_shared(m.headers) for m in alone]
    assert all(m.headers["id"] == m.headers["root_id"] for m in many)
    assert len({m.headers["id"] for m in many}) == len(requests)


def _shared(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name not in ("id", "root_id", "expires")}
