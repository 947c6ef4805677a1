"""Messages are sent once, whichever process sends them, hangs or dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from instances.alerts import send as sending
from instances.alerts.delivery_rules import SENT, DeliveryResult
from instances.alerts.outbox import Send, _Round, deliver, due_at
from instances.db.clock import SYSTEM
from instances.documents import Document
from instances.lib.clock import Clock
from instances.models import Channel, Notification
from tests.factories import World
from tests.fakes.outside import Killed
from tests.fast.delivering import Script, a_row, rows_of
from tests.fast.telling import a_channel
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def delivering(clock: Clock, counts: list[int]) -> threading.Thread:
    """Another process that delivers, as far as the database can tell."""

    def other() -> None:
        counts.append(deliver(clock))
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    return thread


def kills_after(send: Send) -> Send:
    """The message went out, and the process died before it could write that down."""

    def send_and_die(url: str, document: Document, timeout: float) -> DeliveryResult:
        send(url, document, timeout)
        raise Killed

    return send_and_die


def test_a_process_killed_after_sending_sends_again_under_the_same_id(
    world: World, receiver: Receiver
) -> None:
    rows = rows_of(a_channel(url=receiver.url()), world, 2)
    with pytest.raises(Killed):
        deliver(world.clock, kills_after(sending.send))
    assert deliver(world.clock) == 0, "the lease of the dead process still holds"
    assert due_at() == world.now + timedelta(seconds=30)
    world.clock.advance(30)
    assert deliver(world.clock) == 2
    assert [document["id"] for document in receiver.accepted] == [
        str(row.pk) for row in (rows[0], rows[0], rows[1])
    ]


def test_a_process_killed_with_a_digest_in_hand_sends_the_same_digest(world: World, script: Script) -> None:
    rows_of(a_channel(), world, 7)
    with pytest.raises(Killed):
        deliver(world.clock, kills_after(script))
    world.clock.advance(30)
    deliver(world.clock, script)
    assert [document["count"] for document in script.sent] == [7, 7]
    assert script.sent[0]["id"] == script.sent[1]["id"]


def test_a_hanging_channel_delays_no_other(world: World, settings: Settings, receiver: Receiver) -> None:
    settings.DELIVERY_TIMEOUT = 20
    with Receiver("hang") as hanging:
        for number in range(3):
            a_row(a_channel(f"hanging{number}", url=hanging.url()), SYSTEM.now())
        a_row(a_channel("well", url=receiver.url()), SYSTEM.now())
        delivered: list[int] = []
        thread = delivering(SYSTEM, delivered)
        receiver.wait_for(lambda it: bool(it.accepted), patience=10)
        assert thread.is_alive(), "the others hang for longer than this took"
        hanging.stopped.set()
    thread.join()
    assert delivered == [1]


def test_a_slow_channel_gives_the_next_round_a_turn(world: World, script: Script) -> None:
    rows_of(a_channel(), world, 5)

    def slowly(url: str) -> DeliveryResult:
        world.clock.advance(6)
        return SENT

    script.does = slowly
    assert [deliver(world.clock, script) for _ in range(3)] == [2, 2, 1]


def test_processes_that_deliver_at_once_send_everything_once(world: World, receiver: Receiver) -> None:
    for number in range(2):
        rows_of(a_channel(f"c{number}", url=receiver.url(f"/{number}")), world, 4)
    counts: list[int] = []
    for thread in [delivering(world.clock, counts) for _ in range(3)]:
        thread.join()
    assert sum(counts) == len(receiver.accepted) == 8
    assert len({document["id"] for document in receiver.accepted}) == 8


def test_who_lost_the_lease_sends_no_more(world: World, script: Script) -> None:
    rows_of(a_channel(), world, 3)

    def while_another_takes_over(url: str) -> DeliveryResult:
        Channel.objects.update(token=99, lease_expires_at=world.now + timedelta(seconds=7))
        return SENT

    script.does = while_another_takes_over
    assert deliver(world.clock, script) == 1
    channel = Channel.objects.get()
    assert (channel.token, channel.lease_expires_at) == (99, world.now + timedelta(seconds=7))
    assert Notification.objects.exclude(sent_at=None).count() == 1


def test_a_long_round_keeps_its_lease(world: World, script: Script) -> None:
    rows_of(a_channel(), world, 2)
    leases: list[Any] = []

    def look(url: str) -> DeliveryResult:
        leases.append(Channel.objects.get().lease_expires_at)
        world.clock.advance(9)
        return SENT

    script.does = look
    began = world.now
    deliver(world.clock, script)
    assert leases == [began + timedelta(seconds=30), began + timedelta(seconds=39)]
    assert Channel.objects.get().lease_expires_at is None


def test_a_channel_that_is_deleted_while_its_turn_begins_ends_no_round(
    world: World, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of(a_channel(), world, 2)
    first_waiting = _Round._first_waiting

    def read_after_it_went(round_: _Round) -> list[Notification]:
        Channel.objects.all().delete()
        return first_waiting(round_)

    monkeypatch.setattr(_Round, "_first_waiting", read_after_it_went)
    assert deliver(world.clock, script) == 0
    assert not script.tried
