"""Between sweeps everybody is looked at by one process, evenly, and only what is new is written down."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.checks import sweeps
from instances.checks.check_requests import CheckRequest, request_as_listed
from instances.checks.record import record
from instances.health.response import Outcome
from instances.models import Health, HealthCheck, Pulse
from instances.monitoring.events import EventWatch
from instances.operations import service
from tasks import looks as rounds
from tasks.checks import CheckJob, join
from tasks.looks import Looks, list_turn
from tests.factories import World, a_check, a_failure, about, health_of
from tests.fast.conftest import Message

pytestmark = pytest.mark.django_db
Sent = Callable[[str], list[Message]]


@pytest.fixture(autouse=True)
def no_redis(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.LOOK_INTERVAL = 60
    monkeypatch.setattr(rounds, "require_broker", lambda: None)
    monkeypatch.setattr(rounds, "PAUSE", 0.0)


def looks(*waiting: int) -> Looks:
    """The looks of a process, beside a broker in which so many checks wait, one after the other."""
    left = list(waiting)
    return Looks(lambda: left.pop(0) if left else 0)


def customers(messages: list[Message]) -> list[str]:
    return [message.kwargs["customer_id"] for message in messages]


def test_everybody_is_looked_at_once_an_interval_by_one_process(world: World, sent: Sent) -> None:
    for customer in ("c1", "c2"):
        world.instance(customer)
    one, other = looks(), looks()
    for process in (one, other, one):
        process.turn()
    messages = sent("health")
    assert sorted(customers(messages)) == ["c1", "c2"]
    assert all(m.kwargs["request"]["look"] is True and m.headers["expires"] for m in messages)
    world.clock.advance(52)  # the five seconds that an answer may take are part of the minute
    other.turn()
    assert sent("health") == []
    world.clock.advance(2)
    other.turn()
    one.turn()
    assert len(sent("health")) == 2
    assert Pulse.objects.get(name="looks").at == world.now - timedelta(seconds=1), "rounds keep their rhythm"


@pytest.mark.parametrize("why", ["switched off", "sweeps as often", "just swept"])
def test_where_looks_are_not_needed_there_are_none(
    world: World, sent: Sent, settings: Settings, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    world.instance()
    if why == "switched off":
        settings.LOOK_INTERVAL = 0
    elif why == "sweeps as often":
        monkeypatch.setattr(rounds, "sweep_interval", lambda: 60.0)
    else:
        sweeps.start(world.now, 900)
    looks().turn()
    assert sent("health") == []


def test_who_is_looked_at_soon_or_not_at_all_is_left_out(world: World, sent: Sent) -> None:
    for customer in ("well", "suspect", "slow", "paused", "leaving"):
        world.instance(customer)
    for customer, seconds in (("suspect", 30), ("slow", 900)):
        rows = Health.objects.filter(instance__customer_id=customer)
        rows.update(next_check_at=world.now + timedelta(seconds=seconds))
    service.pause("paused")
    leaving = Health.objects.get(instance__customer_id="leaving").instance
    leaving.leaving_at = world.now
    leaving.save()
    looks().turn()
    assert sorted(customers(sent("health"))) == ["slow", "well"]


def test_those_not_looked_at_for_longest_come_first(
    world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "at_once", lambda number, every: 1)
    for minutes, customer in enumerate(("third", "second", "first")):
        world.instance(customer, checked_at=world.now - timedelta(minutes=minutes))
    looks().turn()
    assert customers(sent("health")) == ["first", "second", "third"]


def test_no_more_is_published_than_workers_take(
    world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "at_once", lambda number, every: 1)
    for customer in ("c1", "c2"):
        world.instance(customer)
    waits: list[int] = []

    def crowded() -> int:
        waits.append(len(waits))
        world.clock.advance(7)
        return 0 if len(waits) == 1 else 1

    Looks(crowded).turn()
    assert len(sent("health")) == 1, "the second one found no room before the round was over"
    assert len(waits) > 5
    looks().turn()
    assert len(sent("health")) == 2, "the next round is a new one"


def test_an_engine_that_is_away_is_judged_by_one_and_the_rest_is_written_down(
    world: World, sent: Sent
) -> None:
    for customer in ("c1", "c2", "c3"):
        world.instance(customer)
    world.host_incident()
    looks().turn()
    [lead] = sent("health")
    assert lead.kwargs["request"]["leads"] is True
    assert list(Health.objects.order_by("status").values_list("status", flat=True)) == [
        "healthy", "unknown", "unknown",
    ]  # fmt: skip


def look(check: Any) -> Any:
    return about(check, look=True)


def test_the_history_keeps_what_failed_what_is_new_and_a_success_now_and_then(
    world: World, settings: Settings
) -> None:
    instance = world.instance(http_status=200, checked_at=world.now)
    settings.HISTORY_EVERY = 1_000_000  # seconds
    renamed = {"finding": "renamed", "finding_text": "It is called so."}
    for outcome, status, changes, rows in (
        (Outcome.OK, 200, {}, 0),
        (Outcome.FAIL, None, {}, 1),
        (Outcome.FAIL, None, {}, 2),
        (Outcome.FAIL, 503, {}, 3),
        (Outcome.OK, 200, {}, 4),
        (Outcome.OK, 200, {}, 5),
        (Outcome.OK, 200, {}, 5),
        (Outcome.OK, 200, renamed, 6),
        (Outcome.OK, 200, renamed, 6),
    ):
        world.clock.advance(60)
        reason = "" if outcome is Outcome.OK else "refused"
        check = a_check(world, instance, outcome, reason, http_status=status, **changes)
        record([look(check) if rows % 2 else check], world.now)
        assert HealthCheck.objects.count() == rows
    assert health_of(instance).last_healthy_at == world.now, "that it was well is known to the minute"
    settings.HISTORY_EVERY = 60
    world.clock.advance(60)
    record([look(a_check(world, instance, http_status=200))], world.now)
    assert HealthCheck.objects.count() == 7


def test_a_wedged_program_is_down_and_restarted_as_after_any_check(world: World) -> None:
    instance = world.instance(http_status=200)
    ordered = []
    for _ in range(3):
        world.clock.advance(30)
        [recorded], _finished = record([look(a_failure(world, instance, "timeout"))], world.now)
        ordered.append(bool(recorded.verdict and recorded.verdict.restart))
    assert (ordered, health_of(instance).failures) == ([False, False, True], 3)


@pytest.mark.parametrize("order", [("sweep", "look"), ("look", "sweep")])
def test_a_look_that_meets_a_sweeps_check_makes_it_neither_shorter_nor_a_look(
    world: World, order: tuple[str, str]
) -> None:
    request = request_as_listed(world.instance(), world.outside.engines, "a-sweep")
    as_look = CheckRequest.from_message({**request.message(), "sweep_id": None, "look": True, "newer": 1})
    of = {
        "sweep": CheckJob(request, world.now + timedelta(seconds=800)),
        "look": CheckJob(as_look, world.now + timedelta(seconds=60)),
    }
    joined = join(*(of[name] for name in order))
    assert (joined.request.sweep_id, joined.request.look) == ("a-sweep", None)
    assert joined.until == world.now + timedelta(seconds=800)
    assert join(of["look"], of["look"]).request.look is True


def lists(world: World, sent: Sent) -> list[str]:
    """Who is to be checked after one more turn of a process that lists, half a minute later."""
    world.clock.advance(30)
    list_turn()
    return sorted(customers(sent("health")))


def test_where_no_events_are_heard_a_list_finds_what_is_odd(world: World, sent: Sent) -> None:
    died, renamed, sick, _well = (world.instance(name) for name in ("died", "renamed", "sick", "well"))
    world.engine.change(died.container_id, state="exited")
    world.engine.rename(renamed.container_id, "other")
    world.engine.change(sick.container_id, health="unhealthy")
    assert lists(world, sent) == ["died", "renamed", "sick"]
    list_turn()
    assert sent("health") == [], "the next list is half a minute later"


def test_a_host_whose_events_are_heard_is_not_listed(world: World, sent: Sent) -> None:
    died = world.instance()
    world.engine.change(died.container_id, state="exited")
    watch = EventWatch(world.outside, lambda: None)
    watch.turn()
    follower = watch._followers[world.host.pk]
    follower.hears = True
    world.clock.advance(6)
    watch.turn()
    list_turn()
    assert sent("health") == []
    follower.hears = False
    assert lists(world, sent) == ["c1"]
    watch.stop()


def test_lists_are_switched_off_and_rest_where_sweeps_come_as_often(
    world: World, sent: Sent, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.engine.change(world.instance().container_id, state="exited")
    with monkeypatch.context() as often:
        often.setattr(rounds, "sweep_interval", lambda: 30.0)
        assert lists(world, sent) == []
    settings.LIST_INTERVAL = 0
    assert lists(world, sent) == []
