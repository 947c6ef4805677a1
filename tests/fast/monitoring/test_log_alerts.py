"""A plan's log alerts: told once with their lines, over when the log is quiet, and never a restart."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from pytest_django.fixtures import Settings

from instances.db.sessions import SESSIONS
from instances.errors import EngineUnreachable
from instances.incidents.deadlines import apply_due
from instances.models import Incident, Instance, LastWords, Notification, Operation
from instances.monitoring import log_follower, log_watch
from instances.monitoring.events import EventWatch
from instances.monitoring.log_follower import LogFollower
from instances.monitoring.log_watch import LogWatch
from instances.monitoring.loop import resolution
from instances.operations import service
from tests.factories import ASKED, SECRET, World
from tests.fakes.threads import no_thread_left
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db
QUOTA = {"match": "ERROR .* quota exceeded", "more_than": 2, "within": 600, "level": "warning"}


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs are read when a test says so, and tell at once all they have missed."""
    monkeypatch.setattr(LogFollower, "start", lambda self: None)
    monkeypatch.setattr(log_follower, "SETTLES", -1.0)


class Following:
    """A process that follows events and logs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events = EventWatch(world.outside, lambda: None)
        self.watch = LogWatch(world.outside, self.events.held)

    def read(self, seconds: float = 6) -> None:
        """Some time later all logs that are followed are read to their end, and what they say is told."""
        self.world.clock.advance(seconds)
        self.events.turn()
        self.watch.turn()
        for each in self.watch._followed.values():
            each.follower.follow()
        self.watch.turn()

    def containers(self) -> list[str]:
        return [each.follower.container for each in self.watch._followed.values()]


@pytest.fixture
def following(world: World) -> Following:
    ask_for(world, QUOTA)
    return Following(world)


def ask_for(world: World, *alerts: dict[str, Any]) -> None:
    world.plan.log_alerts = list(alerts)
    world.plan.save()


def writes(world: World, instance: Instance, *lines: str, at: datetime | None = None) -> None:
    for number, line in enumerate(lines):
        moment = (at or world.now) + timedelta(microseconds=number)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
        world.engine.write_log(instance.container_id, f"{stamp} {line}\n".encode())


def quota(*numbers: int) -> list[str]:
    return [f"ERROR {number} with {SECRET}: quota exceeded" for number in numbers]


def test_a_log_is_followed_once_a_thread_can_start(
    world: World, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    following.events.turn()
    with monkeypatch.context() as patch, no_thread_left():
        patch.setattr(LogFollower, "start", lambda self: self._thread.start())
        following.watch.turn()
    started: list[str] = []
    monkeypatch.setattr(LogFollower, "start", lambda self: started.append(self.container))
    following.read()
    assert started == [instance.container_id]


def test_too_many_lines_are_told_once_with_the_last_of_them_and_restart_nothing(
    world: World, following: Following
) -> None:
    a_channel()
    instance = world.instance()
    writes(world, instance, "ready", *quota(1, 2), "ERROR of another kind")
    following.read()
    assert not Incident.objects.exists()
    writes(world, instance, *quota(3))
    following.read()
    incident = Incident.objects.get()
    assert (incident.kind, incident.cause, incident.severity, incident.customer_id) == (
        "log", "log", "warning", "c1",
    )  # fmt: skip
    assert incident.message == (
        "c1 wrote more than 2 lines that match `ERROR .* quota exceeded` within 10 min."
    )
    assert told_after(world, 1) == ["ops opened warning c1"]
    [told] = Notification.objects.values_list("payload", flat=True)
    assert told["last_lines"] == [f"ERROR {number} with [redacted]: quota exceeded" for number in (1, 2, 3)]
    assert told["title"] == "The log of c1 says what its plan warns of"
    assert "logs --customer-id c1" in told["next_step"]
    writes(world, instance, *quota(4, 5))
    following.read()
    assert told_after(world, 1) == []
    assert not Operation.objects.exists()
    assert SECRET not in json.dumps([told, str(list(LastWords.objects.get().lines))])


def test_it_is_over_when_the_log_was_quiet_for_as_long_as_lines_are_counted(
    world: World, following: Following
) -> None:
    instance = world.instance()
    writes(world, instance, *quota(1, 2, 3))
    following.read()
    following.read(1180)
    assert Incident.objects.get().is_open
    following.read(20)
    incident = Incident.objects.get()
    assert not incident.is_open
    assert incident.resolution == "it has not written more than 2 such lines in 10 min for as long"
    following.read()
    assert Incident.objects.count() == 1


def test_whoever_takes_over_counts_what_was_written_before_and_tells_nothing_twice(
    world: World, following: Following
) -> None:
    a_channel()
    instance = world.instance()
    writes(world, instance, *quota(1, 2))
    following.read()
    following.events.stop()
    following.watch.stop()
    following.watch.turn()
    assert not Incident.objects.exists()
    standby = Following(world)
    writes(world, instance, *quota(3))
    standby.read()
    assert told_after(world, 1) == ["ops opened warning c1"]
    standby.events.stop()
    third = Following(world)
    third.read()
    assert told_after(world, 1) == []
    third.read(1210)
    assert not Incident.objects.get().is_open


def test_an_outage_of_the_engine_ends_nothing_and_what_it_wrote_meanwhile_is_counted(
    world: World, following: Following
) -> None:
    instance = world.instance()
    writes(world, instance, *quota(1, 2))
    following.read()
    [each] = following.watch._followed.values()
    world.engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        each.follower.follow()
    each.follower._opened_at = None
    world.engine.unreachable = False
    writes(world, instance, *quota(3))
    following.read()
    assert Incident.objects.get().is_open
    each.follower._opened_at = None  # it can't be asked, for an hour
    world.clock.advance(3600)
    following.watch.turn()
    assert Incident.objects.get().is_open, "nobody knows"


def test_a_container_made_anew_is_followed_in_the_place_of_the_old_one(
    world: World, following: Following
) -> None:
    instance = world.instance()
    writes(world, instance, *quota(1, 2))
    following.read()
    old = instance.container_id
    world.engine.lose(instance.container_name)
    service.begin_restart("c1", ASKED, world.outside)
    instance.container_id = world._run(instance)
    instance.save()
    writes(world, instance, *quota(3))
    following.read()
    assert following.containers() == [instance.container_id] != [old]
    assert Incident.objects.get().is_open


def test_only_who_is_active_and_whose_plan_asks_is_followed(
    world: World, following: Following, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = world.instance("c1"), world.instance("c2")
    for instance in (first, second):
        writes(world, instance, *quota(1, 2, 3))
    following.read()
    assert len(following.containers()) == 2
    second.health.status = "paused"
    second.health.save()
    following.read()
    assert following.containers() == [first.container_id]
    paused = Incident.objects.get(customer_id="c2")
    assert (paused.is_open, paused.resolution) == (False, log_watch.UNWANTED)
    second.health.status = "healthy"
    second.health.save()
    settings.LOG_STREAMS = 1
    following.read()
    assert following.containers() == [first.container_id]
    assert "The logs of 1 containers are not followed" in caplog.text
    assert [row.customer_id for row in Incident.objects.open()] == ["c1"], "who is left out is not told of"
    ask_for(world)
    following.read()
    assert following.containers() == []
    assert not Incident.objects.open().exists()


def test_an_alert_of_another_version_is_left_out_with_a_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ask_for(world, QUOTA, {"match": "x", "then": "restart"})
    assert [alert.match for alert in log_watch.alerts_of(world.plan)] == [QUOTA["match"]]
    assert "log alert that can't be read" in caplog.text


def test_hostile_lines_cost_little_and_what_they_begin_with_counts(
    world: World, following: Following
) -> None:
    ask_for(world, {**QUOTA, "more_than": 3, "level": "critical"})
    instance = world.instance()
    stamp = world.now.strftime("%Y-%m-%dT%H:%M:%S.").encode()
    lines = (
        b"1Z ERROR \xff\xfe\0 quota exceeded" + b"a" * 900_000,
        b"2Z \x1b[31mERROR\x1b[0m \x1b[1m7 quota\x1b[0m exceeded",
        b"3Z ERROR 8 quota exceeded\r",
        b"4Z " + b"b" * 900_000 + b"ERROR far behind quota exceeded",
        b"5Z ERROR 9 quota exceeded",
    )
    world.engine.write_log(instance.container_id, b"".join(stamp + line + b"\n" for line in lines))
    world.engine.write_log(instance.container_id, b"2026-03 ERROR cut off quota exceeded\n")
    following.read()
    assert Incident.objects.get().severity == "critical"
    shown = LastWords.objects.get().lines
    assert [len(line) <= 1000 for line in shown] == [True] * 4
    assert shown[0].endswith("bytes cut]")


def test_lines_of_an_instance_whose_secrets_can_not_be_read_are_counted_and_not_shown(
    world: World, following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    monkeypatch.setattr(log_watch, "_redactor", lambda pk: None)
    writes(world, instance, *quota(1, 2, 3))
    following.read()
    assert LastWords.objects.get().lines == [log_follower.UNSHOWN] * 3


def test_logs_that_ask_at_once_what_to_hide_use_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = threading.Barrier(2)
    met: list[bool] = []

    @contextmanager
    def turn() -> Iterator[None]:
        try:
            beside.wait(0.03)
            met.append(True)
        except threading.BrokenBarrierError:
            beside.reset()
        raise DatabaseError("The test goes no further.")
        yield  # type: ignore[unreachable]

    monkeypatch.setattr(SESSIONS, "turn", turn)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(log_watch._redactor, (1, 2))) == [None, None]
    assert not met


def test_an_alert_that_comes_and_goes_is_told_as_that_and_its_end_when_it_stays_away(
    world: World, settings: Settings
) -> None:
    settings.FLAPS_ALLOWED, settings.FLAPPING_CLEAN = 2, 300
    a_channel()
    instance = world.instance()
    ask_for(world, {"match": "ERROR", "more_than": 0, "within": 10, "level": "warning"})
    following = Following(world)
    following.read()
    told: list[str] = []

    def pass_time(seconds: float) -> None:
        following.read(seconds)
        apply_due(world.now, resolution)
        told.extend(line.split()[1] for line in told_after(world, 1))

    for _ in range(5):
        writes(world, instance, "ERROR")
        pass_time(6)
        pass_time(54)
    assert told == ["opened", "resolved"] * 2 + ["flapping"]
    title = Notification.objects.get(kind="flapping").payload["title"]
    assert title == "The log of c1 says what its plan warns of again and again"
    following.events.stop()
    following = Following(world)  # another process, which reads the last lines again
    for _ in range(5):
        pass_time(58)
    assert told[-1] == "flapping"
    pass_time(60)
    assert told[-1] == "resolved"


def test_one_that_comes_back_while_another_process_takes_over_is_not_ended(
    world: World, following: Following
) -> None:
    instance = world.instance()
    writes(world, instance, *quota(1, 2, 3))
    following.read()
    Incident.objects.update(flapping=True, resolve_at=world.now + timedelta(seconds=900))
    writes(world, instance, *quota(4))
    following.events.stop()
    Following(world).read()
    assert Incident.objects.get().resolve_at is None
