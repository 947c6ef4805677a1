"""A container that died and runs again before anybody looked: kept each time, told when it is a habit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import NoReturn

import pytest
from django.db import DataError, OperationalError
from pytest_django.fixtures import Settings

from instances.containers.facts import ContainerEvent
from instances.documents.rows import time
from instances.errors import EngineUnreachable
from instances.incidents import deadlines, documents
from instances.models import Host, Incident, IncidentEvent, LastWords, Notification, Operation
from instances.monitoring import deaths
from instances.monitoring.death_rules import Death
from instances.monitoring.events import EventWatch, Follower
from instances.monitoring.loop import resolution
from instances.operations import last_words
from instances.operations.last_words import keep_of_crashes
from instances.outside import engine_address
from tests.factories import World
from tests.fast.side_by_side import side_by_side
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db


@pytest.fixture
def watch(world: World) -> EventWatch:
    return EventWatch(world.outside, lambda: None)


def hears(world: World, watch: EventWatch) -> None:
    """A process that begins to follow hears what happened in the last minute, and judges it."""
    Follower(engine_address(world.host), world.outside.engines, watch._noticed, world.now).follow()
    for _ in range(2):
        keep_of_crashes(watch.crashes(), world.outside)


def crashes(world: World, watch: EventWatch, minutes: float = 0, exit_code: int = 1) -> None:
    world.engine.crash("dockmgr-c1", exit_code)
    hears(world, watch)
    world.clock.advance(minutes * 60)


def died() -> list[str]:
    return list(IncidentEvent.objects.filter(kind="died").values_list("text", flat=True))


def test_one_crash_is_kept_with_its_last_words_and_nobody_is_told(world: World, watch: EventWatch) -> None:
    a_channel()
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"no more space\n")
    crashes(world, watch)
    incident = Incident.objects.get()
    assert (incident.kind, incident.cause, incident.severity, incident.is_open) == (
        "container", "crashing", "info", False,
    )  # fmt: skip
    assert died() == ["ended with exit code 1; its engine started it again"]
    assert incident.events.get(kind="died").at == incident.opened_at == world.now
    assert LastWords.objects.get(incident=incident).lines == ["no more space"]
    assert told_after(world, 600) == []


def test_what_is_heard_twice_is_kept_once(world: World, watch: EventWatch) -> None:
    world.instance()
    crashes(world, watch, 0.5)
    hears(world, EventWatch(world.outside, lambda: None))
    assert len(died()) == LastWords.objects.count() + 1 == 1


@pytest.mark.django_db(transaction=True)
def test_what_several_processes_hear_at_once_is_kept_once(world: World) -> None:
    instance = world.instance()
    for second in range(3):
        death = Death((int(world.now.timestamp()) + second) * 10**9, 1)
        assert side_by_side(*[partial(deaths._note, instance, death, world.now)] * 4) == []
    assert len(died()) == 3


@pytest.mark.parametrize("fast", [20, 7200])
def test_of_an_engine_whose_clock_runs_fast_each_crash_counts_once(
    world: World, watch: EventWatch, monkeypatch: pytest.MonkeyPatch, fast: int
) -> None:
    world.instance()
    ahead = timedelta(seconds=fast)
    monkeypatch.setattr(world.engine, "_clock", lambda: world.now + ahead)
    for number in (1, 2, 3):
        crashes(world, watch, 0.2)
        for _ in range(3):
            hears(world, EventWatch(world.outside, lambda: None))
            world.clock.advance(4)
        assert len(died()) == number
    incident = Incident.objects.get()
    assert (incident.severity, incident.is_open, incident.opened_at <= world.now) == ("warning", True, True)
    shown = documents.incident(incident, world.now)["events"]
    assert max(event["at"] for event in shown) <= time(world.now)


@pytest.mark.parametrize(("error", "kept"), [(OperationalError, 2), (DataError, 1)])
def test_what_could_not_be_judged_while_the_database_was_away_is_judged_when_it_is_back(
    world: World, watch: EventWatch, monkeypatch: pytest.MonkeyPatch, error: type[Exception], kept: int
) -> None:
    world.instance("c1")
    world.instance("c2")
    for name in ("c1", "c2"):
        world.engine.crash(f"dockmgr-{name}", 1)
    Follower(engine_address(world.host), world.outside.engines, watch._noticed, world.now).follow()
    assert list(watch.crashes()) == []  # until it is known whether somebody asked for it
    with monkeypatch.context() as away:
        away.setattr(deaths, "_note", failing(error))
        with pytest.raises(error):
            list(watch.crashes())
    assert len([*watch.crashes(), *watch.crashes()]) == kept
    assert len(died()) == kept


def test_who_gives_up_in_the_middle_loses_none(world: World, watch: EventWatch) -> None:
    for name in ("c1", "c2"):
        world.instance(name)
        world.engine.crash(f"dockmgr-{name}", 1)
    Follower(engine_address(world.host), world.outside.engines, watch._noticed, world.now).follow()
    list(watch.crashes())
    first = next(iter(watch.crashes())).customer_id
    assert {first, *(crash.customer_id for crash in watch.crashes())} == {"c1", "c2"}
    assert len(died()) == 2


def test_deaths_of_strangers_hold_up_none_of_ours(world: World, watch: EventWatch) -> None:
    world.instance()
    for number in range(5 * deaths.AT_ONCE):
        watch._noticed.add(ContainerEvent(f"{number:f>64}", "die", 1, 1))
    crashes(world, watch)
    assert len(died()) == 1
    assert not watch._noticed.deaths.containers()


def test_of_those_that_wait_there_are_never_too_many(
    world: World, watch: EventWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    monkeypatch.setattr(deaths, "MOST", 10)
    monkeypatch.setattr(deaths, "AT_ONCE", 3)
    waiting = watch._noticed.deaths
    for _ in range(5):
        for number in range(12):
            watch._noticed.add(ContainerEvent(instance.container_id, "die", number, 1))
        list(watch.crashes())
    taken = [len(waiting.take(world.now)) for _ in range(5)]
    assert sum(taken) == 10


def test_a_host_that_does_not_answer_costs_one_question_however_many_died_there(
    world: World, watch: EventWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deaths, "AT_ONCE", 3)
    away = Host.objects.create(name="away", docker_url="tcp://h2:2376", first_port=25000)
    there = world.outside.hosts[away.docker_url]
    there._serial = itertools.count(1000)  # no two engines have a container of one id
    for number in range(2 * deaths.AT_ONCE):
        there.crash(world.instance(f"c{number}", host=away).container_id, 1)
    world.instance("well")
    world.engine.crash("dockmgr-well", 1)
    for host in (away, world.host):
        Follower(engine_address(host), world.outside.engines, watch._noticed, world.now).follow()
    list(watch.crashes())
    there.unreachable, asked = True, there.times_asked
    assert [crash.customer_id for crash in [*watch.crashes(), *watch.crashes()]] == ["well"]
    assert there.times_asked == asked + 1


def failing(error: type[Exception]) -> Callable[..., NoReturn]:
    def fails(*_: object) -> NoReturn:
        raise error("not now")

    return fails


def test_three_within_an_hour_are_told_once_and_are_over_when_it_was_quiet(
    world: World, watch: EventWatch, settings: Settings
) -> None:
    a_channel()
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"no more space\n")
    for _ in range(2):
        crashes(world, watch, 25, 139)
    assert told_after(world, 0) == []
    crashes(world, watch, 1)
    assert told_after(world, 0) == ["ops opened warning c1"]
    told = Notification.objects.get().payload
    assert told["title"] == "The container of c1 dies again and again"
    assert told["message"] == (
        "c1 died 3 times within 1 h: the last time it ended with exit code 1; its engine started it again."
    )
    assert told["last_lines"] == ["no more space"]
    for _ in range(4):
        crashes(world, watch, 20)
    assert told_after(world, 0) == []
    world.clock.advance(settings.FLAP_WINDOW)
    deadlines.apply_due(world.now, resolution)
    assert told_after(world, 0) == ["ops resolved info c1"]
    incident = Incident.objects.get()
    assert (incident.resolution, len(died())) == ("it has not died again for 1 h", 7)


def test_crashes_far_apart_are_no_habit(world: World, watch: EventWatch) -> None:
    world.instance()
    for _ in range(3):
        crashes(world, watch, 31)
    assert (Incident.objects.get().severity, Incident.objects.get().is_open) == ("info", False)
    world.clock.advance(3600)
    crashes(world, watch)
    assert Incident.objects.count() == 2


@pytest.mark.parametrize(
    "how", ["asked to stop", "made good by us", "ended", "gone", "a stranger's", "engine away"]
)
def test_what_is_no_crash_or_told_by_others_is_left_to_them(
    world: World, watch: EventWatch, how: str
) -> None:
    instance = world.instance()
    world.engine.crash(instance.container_id, 143)
    if how == "asked to stop":
        world.engine._happens(instance.container_id, "stop")
    elif how == "made good by us":
        Operation.objects.create(
            kind="restart", customer_id="c1", host=world.host, status="succeeded", requested_by="tests",
            created_at=world.now, finished_at=world.now, lease_expires_at=world.now,
        )  # fmt: skip
    elif how == "ended":
        world.engine.change(instance.container_id, state="exited")
    elif how == "gone":
        world.engine.lose(instance.container_id)
    elif how == "a stranger's":
        watch._noticed.add(ContainerEvent("f" * 64, "die", 1, 1))
        world.engine.lose(instance.container_id)
    else:
        world.engine.fail_next("inspect", EngineUnreachable("It does not answer."))
    hears(world, watch)
    assert not Incident.objects.exists()


def test_a_crash_right_after_a_restart_of_ours_is_one(world: World, watch: EventWatch) -> None:
    world.instance()
    assert world.restart().status == "succeeded"
    world.clock.advance(0.5)
    crashes(world, watch)
    assert len(died()) == 1


def test_a_death_in_an_outage_is_a_line_of_the_outage(world: World, watch: EventWatch) -> None:
    [outage] = world.incidents([world.instance()])
    crashes(world, watch)
    assert IncidentEvent.objects.get(kind="died").incident == outage == Incident.objects.get()


def test_of_what_dies_all_the_time_some_last_words_are_kept(
    world: World, watch: EventWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_words, "MOST_AN_HOUR", 2)
    instance = world.instance()
    world.engine.write_log(instance.container_id, b"no more space\n")
    for _ in range(4):
        crashes(world, watch, 1)
    assert (LastWords.objects.count(), len(died())) == (2, 4)
    world.clock.advance(timedelta(hours=1).total_seconds())
    crashes(world, watch)
    assert LastWords.objects.count() == 3
