"""The threads beside the work of a Celery process: they go on whatever happens, and end when told."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import OperationalError, ProgrammingError
from pytest_django.fixtures import Settings

from instances.alerts import outbox
from instances.alerts.delivery_rules import SENT
from instances.checks.record import record
from instances.db.sessions import SESSIONS
from instances.errors import OutOfReachError
from instances.models import Channel, Incident, Notification, Operation, Pulse
from instances.operations import service
from tasks import background as threads
from tasks.background import BackgroundThreads, start_background, stop_background, until_next
from tasks.outages import SaidOnce
from tests.factories import ASKED, World, a_failure
from tests.fast.conftest import Message

Sent = Callable[[str], list[Message]]
PATIENCE = 60


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.WATCH_INTERVAL = 0.005


class Turns:
    """Turns that fail as scripted; `enough` is set after `wanted` of them."""

    def __init__(self, *errors: Exception | None, wanted: int = 5) -> None:
        self._errors = list(errors)
        self._left = wanted
        self.enough = threading.Event()

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.enough.set()
        error = self._errors.pop(0) if self._errors else None
        if error:
            raise error


def test_a_turn_that_fails_is_one_line_and_the_next_comes(caplog: pytest.LogCaptureFixture) -> None:
    turns = Turns(ProgrammingError("no route\nto the database"), None, OutOfReachError("Nobody is there."))
    rounds = BackgroundThreads({"watch": turns})
    rounds.start()
    assert turns.enough.wait(PATIENCE)
    rounds.stop()
    said = [record for record in caplog.records if record.name == threads.logger.name]
    assert [(r.levelno, r.getMessage()) for r in said] == [
        (logging.ERROR, "A turn of watch failed: ProgrammingError: no route"),
        (logging.ERROR, "A turn of watch failed: Nobody is there."),
    ]


def test_one_thread_that_hangs_keeps_no_other_from_its_turns(settings: Settings) -> None:
    release, turns = threading.Event(), Turns()
    rounds = BackgroundThreads({"ask": release.wait, "watch": turns})
    rounds.start()
    assert turns.enough.wait(PATIENCE)
    release.set()
    rounds.stop()
    assert not any(thread.is_alive() for thread in rounds._threads)


def test_stopping_waits_for_a_hanging_turn_only_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 0.05)
    release = threading.Event()
    rounds = BackgroundThreads({"deliver": release.wait})
    rounds.start()
    rounds.stop()
    assert rounds._threads[0].is_alive()
    assert rounds._threads[0].daemon
    release.set()
    rounds._threads[0].join(PATIENCE)


@pytest.fixture
def watched(world: World, sent: Sent, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose process may start watching; it is stopped at the end."""
    settings.WATCH_INTERVAL = 0.02  # its threads are many
    monkeypatch.setattr(threads, "SYSTEM", world.clock)
    yield world
    stop_background()


def own_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("dockmgr-"))


def wait_for(there: Callable[[], Any]) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE * 50):
        if there():
            return
        pause.wait(0.02)
    pytest.fail("it did not happen in time")


@pytest.mark.django_db(transaction=True)
def test_a_worker_watches_tells_and_does_the_clockwork_until_it_ends(
    watched: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/")
    deliver = outbox.deliver
    monkeypatch.setattr(outbox, "deliver", lambda clock: deliver(clock, lambda *_: SENT))
    record([a_failure(watched, watched.instance())], watched.now)
    watched.clock.advance(640)
    watched.instance("due", status="suspect", next_check_at=watched.now)
    watched.instance("left")
    service.begin_restart("left", ASKED, watched.outside)
    watched.clock.advance(61)
    served = ["health"]
    start_background(engines=True, queues=lambda: served)
    start_background(engines=True, queues=lambda: served)
    assert own_threads() == [
        "dockmgr-ask", "dockmgr-clockwork", "dockmgr-deaths", "dockmgr-deliver", "dockmgr-disk",
        "dockmgr-events", "dockmgr-follow-up", "dockmgr-lists", "dockmgr-logs", "dockmgr-looks",
        "dockmgr-ooms", "dockmgr-orders", "dockmgr-orphans", "dockmgr-outside", "dockmgr-usage",
        "dockmgr-watch",
    ]  # fmt: skip
    alive = Pulse.objects.filter(name__in=("clockwork", "queue:health"), at=watched.now)
    wait_for(lambda: alive.count() == 2)
    wait_for(lambda: Operation.objects.exclude(handed_over_at=None).exists())
    wait_for(lambda: Notification.objects.exclude(sent_at=None).exists())
    stop_background()
    assert own_threads() == []
    assert Incident.objects.get().severity == "critical"
    assert sorted(message.kwargs["customer_id"] for message in sent("health")) == ["c1", "due"]
    assert [message.task for message in sent("operations")] == ["dockmgr.carry_on"]
    assert not Pulse.objects.filter(name="queue:operations").exists()


@pytest.mark.django_db(transaction=True)
def test_beat_leaves_its_sign_of_life(watched: World) -> None:
    start_background(engines=False)
    wait_for(lambda: Pulse.objects.filter(name="beat", at=watched.now).exists())


@pytest.mark.django_db(transaction=True)
def test_a_forked_child_does_not_stop_its_parents_watching(
    watched: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_background(engines=False)
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        stop_background()
    assert len(own_threads()) == 3


def test_only_queues_that_could_grow_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = {"health": 3, "operations": 0, "notifications": 9, "celery": 1}
    monkeypatch.setattr(threads, "queue_lengths", lambda: lengths)
    assert threads.crowding_queues() == {"health": 3, "operations": 0}


def test_an_outage_is_told_once_and_a_new_one_again(caplog: pytest.LogCaptureFixture) -> None:
    away = OutOfReachError("Nobody is there.")
    turns = Turns(away, away, away, None, away, wanted=6)
    rounds = BackgroundThreads({"clockwork": turns})
    rounds.start()
    assert turns.enough.wait(PATIENCE)
    rounds.stop()
    assert len(caplog.records) == 2


class Refusing:
    """A broker that refuses while `reason` is set."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, **_: bool) -> dict[str, int]:
        if self.reason:
            raise OutOfReachError(f"The broker refuses: {self.reason} (DOCKMGR_BROKER_URL).")
        return {}


def test_an_outage_that_turns_meet_only_now_and_then_is_told_once_as_well(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Refusing("its memory is full (maxmemory)")
    monkeypatch.setattr(threads, "queue_lengths", broker)
    due = iter([True, False] * 3)
    enough = threading.Event()

    def turn() -> None:
        publishes = next(due, None)
        if publishes is None:
            enough.set()
        if publishes:
            broker()

    def run() -> None:
        rounds = BackgroundThreads({"rounds": turn})
        rounds.start()
        assert enough.wait(PATIENCE)
        rounds.stop()

    run()
    assert len(caplog.records) == 1
    broker.reason = ""
    once = SaidOnce(threads.logger, threads._is_over)
    refused = OutOfReachError("The broker refuses: its memory is full (maxmemory) (DOCKMGR_BROKER_URL).")
    once.failed("A turn of rounds", refused)
    once.worked()
    once.failed("A turn of rounds", refused)
    assert len(caplog.records) == 3


@pytest.mark.django_db
def test_a_database_that_takes_no_writes_is_out_although_it_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = OperationalError("attempt to write a readonly database")
    monkeypatch.setattr(SESSIONS, "turn", nullcontext)
    assert threads._is_over(refused)

    def read_only(**_: object) -> int:
        raise refused

    monkeypatch.setattr(Pulse.objects, "update", read_only)
    assert not threads._is_over(refused)


@pytest.mark.parametrize(
    ("passed", "place", "wait"),
    [
        (0.0, 0.0, 2.0),
        (0.1, 0.0, 1.9),
        (0.1, 0.25, 0.4),
        (0.5, 0.25, 2.0),
        (0.6, 0.25, 1.9),
        (9.0, 0.75, 0.5),
    ],
)
def test_each_has_a_place_in_the_interval(passed: float, place: float, wait: float) -> None:
    assert until_next(passed, 2.0, place) == pytest.approx(wait)
