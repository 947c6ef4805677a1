"""A clock that ran two hours fast and was put right: everything goes on, and it is told once."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from instances.alerts import outbox as delivery
from instances.alerts.mute import Scope, mute
from instances.checks import sweeps
from instances.checks.check_requests import request_for
from instances.checks.due import claim_due
from instances.checks.observe import RUNNING, observe
from instances.checks.record import Recorded, record
from instances.errors import BusyError
from instances.health.state import Status
from instances.incidents.mutes import end_for
from instances.incidents.uptime import report
from instances.models import (
    Channel,
    Health,
    HostWatch,
    Incident,
    Instance,
    Notification,
    Operation,
    OutsideCheck,
    OutsideTransition,
    Pulse,
    Sweep,
    Transition,
)
from instances.monitoring import hosts
from instances.monitoring import outside as rota
from instances.monitoring.clocks import CLEAN, judge_clock
from instances.monitoring.loop import Monitor
from instances.monitoring.self_check import SelfCheck, show_life
from instances.monitoring.self_rules import Part
from instances.operations import service
from instances.operations.journal import Journal, abandoned
from instances.operations.procedures import restart
from tests.factories import ASKED, World, a_check, a_failure, health_of, interrupt
from tests.fakes.outside import fails, passes
from tests.fast.delivering import a_row, rows_of
from tests.fast.telling import HOUR, a_channel, told_after

pytestmark = pytest.mark.django_db
FAST = 7200.0
INTERVAL = 60.0


def look(world: World, instance: Instance) -> Recorded:
    [recorded], _ = record([observe(request_for(instance, RUNNING), world.outside, 1)], world.now)
    return recorded


def set_right(world: World) -> None:
    """The clock is set back to what it should be."""
    world.clock._now -= timedelta(seconds=FAST)


def alarms() -> list[Incident]:
    return list(Incident.objects.filter(kind="self", key__startswith="clock"))


def test_checks_go_on_at_once(world: World) -> None:
    instance = world.instance()
    world.clock.advance(FAST)
    look(world, instance)
    set_right(world)
    recorded = look(world, instance)
    assert recorded.skipped == ""
    assert health_of(instance).checked_at == world.now
    assert health_of(instance).last_healthy_at == world.now


def test_an_outage_is_found_and_healed_at_once(world: World) -> None:
    instance = world.instance()
    world.probe.answers[instance.port or 0] = fails()
    world.clock.advance(FAST)
    for _ in range(2):
        look(world, instance)
        world.clock.advance(30)
    set_right(world)
    assert list(claim_due(world.now)) == [instance.pk]
    recorded = look(world, instance)
    assert recorded.verdict
    assert recorded.verdict.restart
    health = health_of(instance)
    assert health.status == Status.UNHEALTHY
    assert health.down_since
    assert health.down_since <= world.now
    assert restart.begin_automatic(instance.pk, world.now)


def test_sweeps_go_on_at_once_and_none_of_their_slots_is_taken(world: World) -> None:
    interval = FAST / 4
    sweeps.finish(sweeps.start(world.now, interval, scheduled=True), world.now)
    world.clock.advance(FAST)
    for _ in range(2):
        world.clock.advance(interval)
        sweeps.finish(sweeps.start(world.now, interval, scheduled=True), world.now)
    world.clock._now -= timedelta(seconds=FAST + 2 * interval)
    for _ in range(8):
        world.clock.advance(interval)
        sweeps.finish(sweeps.start(world.now, interval, scheduled=True), world.now)
    with pytest.raises(BusyError):
        sweeps.start(world.now, interval, scheduled=True)


def test_a_sweep_that_a_fast_clock_left_running_is_closed(world: World) -> None:
    world.clock.advance(FAST)
    left = sweeps.start(world.now, INTERVAL, scheduled=True)
    set_right(world)
    assert sweeps.start(world.now, INTERVAL, scheduled=True).pk != left.pk
    left.refresh_from_db()
    assert left.state == "incomplete"


def test_an_operation_a_fast_clock_has_leased_can_be_taken_over(world: World) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    world.clock.advance(FAST)
    assert Journal.claim(operation.pk, world.clock)
    set_right(world)
    assert [left.pk for left in abandoned(world.now)] == [operation.pk]
    assert Journal.claim(operation.pk, world.clock)


def test_an_operation_a_fast_clock_has_queued_is_taken_up(world: World) -> None:
    world.instance()
    world.clock.advance(FAST)
    operation = service.begin_restart("c1", ASKED, world.outside)
    set_right(world)
    assert [done.pk for done in service.recover(world.outside)] == [operation.pk]
    assert Operation.objects.get().status == "succeeded"


def test_a_host_that_was_asked_in_the_future_is_asked(world: World) -> None:
    later = world.now + timedelta(seconds=FAST)
    HostWatch.objects.create(host=world.host, asked_at=later, ask_at=later + timedelta(seconds=10))
    assert hosts.ask_due(world.outside) == 1
    assert HostWatch.objects.get().asked_at == world.now


def test_a_channel_that_a_fast_clock_holds_is_free(world: World) -> None:
    later = world.now + timedelta(seconds=FAST)
    Channel.objects.create(name="a", url="json://a", retry_at=later)
    Channel.objects.create(name="b", url="json://b", lease_expires_at=later)
    Channel.objects.create(name="c", url="json://c", retry_at=world.now + timedelta(seconds=200))
    assert set(Channel.objects.filter(delivery._free(world.now)).values_list("name", flat=True)) == {"a", "b"}


def test_a_part_that_lives_shows_it_after_a_pulse_from_the_future(world: World) -> None:
    show_life(Part.BEAT, world.now + timedelta(seconds=FAST))
    show_life(Part.BEAT, world.now)
    assert Pulse.objects.get().at == world.now


def test_a_part_that_died_under_a_fast_clock_is_missed(world: World) -> None:
    check = SelfCheck(world.now, lambda: INTERVAL, dict)
    show_life(Part.BEAT, world.now + timedelta(seconds=FAST))
    world.clock.advance(61)
    check.judge(world.now)
    assert Incident.objects.open().get(key="self").cause.split(",")[0] == "beat"


def test_a_sweep_from_the_future_does_not_hide_that_none_is_made(world: World) -> None:
    world.instance()
    check = SelfCheck(world.now, lambda: INTERVAL, dict)
    at = world.now + timedelta(seconds=FAST)
    Sweep.objects.create(pk=uuid4(), state="finished", started_at=at, expires_at=at, finished_at=at)
    world.clock.advance(200)
    check.judge(world.now)
    assert Incident.objects.open().get(key="self").cause.split(",")[0] == "sweeps"


@pytest.mark.parametrize("what", ["check", "sweep", "pulse", "incident"])
def test_what_was_written_ahead_of_time_is_told_once(world: World, what: str) -> None:
    instance = world.instance()
    world.clock.advance(FAST)
    writes: dict[str, Callable[[], object]] = {
        "check": lambda: look(world, instance),
        "sweep": lambda: sweeps.start(world.now, INTERVAL, scheduled=True),
        "pulse": lambda: show_life(Part.BEAT, world.now),
        "incident": lambda: world.incident(instance),
    }
    writes[what]()
    set_right(world)
    over = world.now + CLEAN
    for _ in range(2):
        judge_clock(world.clock, world.now)
        world.clock.advance(10)
    [alarm] = alarms()
    assert (alarm.severity, alarm.cause, alarm.is_open) == ("critical", "clock", True)
    assert alarm.resolve_at == over, "it was put right at once"
    assert alarm.message.startswith("Rows were written ")
    assert alarm.message.endswith(f" ahead of the clock of {socket.gethostname()}: one was or is wrong.")
    assert [event.kind for event in alarm.events.all()].count("opened") == 1


def test_the_alarm_of_a_clock_that_was_put_right_is_over_after_a_minute(world: World) -> None:
    instance = world.instance()
    world.clock.advance(FAST)
    look(world, instance)
    set_right(world)
    watch, seen = Monitor(world.outside, engines=False), []
    for _ in range(3):
        watch.tick()
        seen += [alarm.is_open for alarm in alarms()]
        world.clock.advance(30)
    assert seen == [True, True, False]


def test_the_news_of_a_fast_clock_wait_for_nothing(world: World) -> None:
    instance = world.instance()
    world.clock.advance(FAST)
    incident = world.incident(instance)
    set_right(world)
    judge_clock(world.clock, world.now)
    incident.refresh_from_db()
    assert (incident.opened_at, incident.notify_at) == (world.now, world.now)


def test_reminders_of_a_fast_clock_go_on(world: World) -> None:
    a_channel()
    instance = world.instance()
    world.incident(instance, "critical", notify_at=world.now, critical_at=None)
    watch = Monitor(world.outside)
    world.clock.advance(FAST)
    look(world, instance)
    watch.tick()
    Notification.objects.update(sent_at=world.now)
    set_right(world)
    watch.tick()
    told = told_after(world, HOUR - 1), told_after(world, 2)
    assert ["ops reminder critical c1" in lines for lines in told] == [False, True]


def test_what_has_to_wait_by_a_fast_clock_waits_no_longer_than_by_a_right_one(world: World) -> None:
    a_channel()
    instance = world.instance()
    incident = world.incident(instance, notify_at=world.now)
    world.clock.advance(FAST)
    look(world, instance)
    operation = service.begin_update("c1", ASKED, outside=world.outside)
    interrupt(operation, world)
    Incident.objects.filter(pk=incident.pk).update(notify_at=world.now)
    assert told_after(world, 0) == []
    Operation.objects.update(finished_at=world.now)
    set_right(world)
    judge_clock(world.clock, world.now)
    assert "ops opened warning c1" in told_after(world, 31)


def test_a_mute_by_a_fast_clock_lasts_as_long_as_it_should(world: World) -> None:
    instance = world.instance()
    world.clock.advance(FAST)
    mute(Scope("instance", instance), world.now + timedelta(minutes=30), world.now, by="o")
    look(world, instance)
    set_right(world)
    judge_clock(world.clock, world.now)
    assert end_for(instance, world.now) == world.now + timedelta(minutes=30)


def test_messages_of_a_fast_clock_go_before_those_that_follow_and_in_their_order(world: World) -> None:
    channel, instance = a_channel(), world.instance()
    world.clock.advance(FAST)
    look(world, instance)
    rows_of(channel, world, 3)
    set_right(world)
    judge_clock(world.clock, world.now)
    world.clock.advance(1)
    a_row(channel, world.now, "later")
    titles = [row.payload["title"] for row in Notification.objects.filter(channel=channel)]
    assert titles == ["m0", "m1", "m2", "later"]


@pytest.mark.parametrize("column", ["checked_at", "next_check_at"])
def test_a_check_from_the_future_is_claimed_once(world: World, column: str) -> None:
    instance = world.instance(next_check_at=world.now)
    Health.objects.update(**{column: world.now + timedelta(seconds=FAST)})
    assert list(claim_due(world.now)) == [instance.pk]
    assert (list(claim_due(world.now)), health_of(instance).checked_at) == ([], None)


def test_a_look_that_the_settings_put_off_for_hours_is_not_due_before(
    world: World, settings: Settings
) -> None:
    settings.RECHECK_INTERVAL = 3 * HOUR
    instance = world.instance()
    record([a_failure(world, instance)], world.now)
    assert not claim_due(world.now + timedelta(hours=2))
    assert list(claim_due(world.now + timedelta(hours=4))) == [instance.pk]


def test_who_is_looked_at_is_not_looked_at_by_others_meanwhile(world: World, settings: Settings) -> None:
    settings.PROBE_TIMEOUT, settings.ENGINE_TIMEOUT = 120, 30
    instance = world.instance(next_check_at=world.now)
    assert list(claim_due(world.now)) == [instance.pk]
    assert not claim_due(world.now + timedelta(seconds=269))
    assert list(claim_due(world.now + timedelta(seconds=270))) == [instance.pk]


def test_a_look_that_is_not_from_the_future_stays_known_when_the_next_is_claimed(world: World) -> None:
    instance = world.instance(next_check_at=world.now, checked_at=world.now)
    assert list(claim_due(world.now)) == [instance.pk]
    assert health_of(instance).checked_at == world.now


def test_asking_engines_for_long_asks_none_of_them_again(world: World) -> None:
    began = world.now
    HostWatch.objects.create(host=world.instance().host, ask_at=began)
    world.clock.advance(600)
    assert [hosts.ask_due(world.outside, began) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("judged", [True, False], ids=["put to now", "not yet"])
def test_what_customers_had_under_a_fast_clock_does_not_outlast_it(world: World, judged: bool) -> None:
    instance = world.instance()
    record([a_check(world, instance)], world.now)
    Transition.objects.create(instance=instance, at=world.now - timedelta(hours=1), availability="up")
    world.clock.advance(FAST)
    record([a_failure(world, instance, "exited", container_ended_at=world.now)], world.now)
    set_right(world)
    if judged:
        judge_clock(world.clock, world.now)
    world.clock.advance(600)
    for _ in range(2):
        record([a_check(world, instance)], world.now)
        world.clock.advance(30)
    world.clock.advance(2 * FAST)
    since = world.now - timedelta(seconds=2 * FAST)
    assert report(Instance.objects.all(), since, world.now).total.down == 0
    assert report(Instance.objects.all(), since - timedelta(hours=1), since).total.down == 630 * judged


def test_of_changes_written_ahead_and_right_the_last_one_holds(world: World) -> None:
    instance = world.instance()
    for model in (Transition, OutsideTransition):
        for seconds, availability in ((FAST, "up"), (0, "down"), (FAST, "up"), (FAST, "down")):
            at = world.now + timedelta(seconds=seconds)
            model.objects.create(instance=instance, at=at, availability=availability)
        Pulse.objects.update_or_create(name="beat", defaults={"at": world.now + timedelta(seconds=FAST)})
        judge_clock(world.clock, world.now)
        assert list(model.objects.order_by("at", "pk").values_list("at", "availability")) == [
            (world.now, "down"), (world.now, "up"), (world.now, "down"),
        ]  # fmt: skip


def test_what_was_seen_from_outside_under_a_fast_clock_does_not_outlast_it(world: World) -> None:
    instance = world.instance()
    OutsideCheck.objects.create(instance=instance, next_at=world.now, outcome="fail", failures=1)
    ahead = world.now + timedelta(seconds=FAST)
    OutsideTransition.objects.create(instance=instance, at=ahead, availability="down")
    look, every = rota.AddressCheck(instance, "https://c1.example.com", passes()), timedelta(minutes=15)
    rota.write([look], world.now, every, asked_at=world.now)
    assert list(OutsideTransition.objects.values_list("at", "availability")) == [(world.now, "up")]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0, ""), (4.9, ""), (-4.9, ""), (6.0, "6 s ahead of"), (-7200.0, "2 h behind")],
)
def test_a_machine_whose_clock_differs_from_the_databases_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, told: str
) -> None:
    monkeypatch.setattr(world.clock, "skew", lambda: timedelta(seconds=seconds))
    for _ in range(3):
        judge_clock(world.clock, world.now)
    messages = [alarm.message for alarm in alarms()]
    machine = socket.gethostname()
    assert messages == ([f"The clock of {machine} is {told} the database's."] if told else [])


def test_a_sweep_in_the_callers_process_tells_it_too(world: World, settings: Settings) -> None:
    from instances.fleet.sweep import sweep_here

    settings.HOLD = 0
    instance = world.instance()
    world.clock.advance(FAST)
    look(world, instance)
    set_right(world)
    swept = sweep_here("tests", world.outside)
    assert [row.instance_id for row in swept.rows] == [instance.pk]
    assert Health.objects.get(pk=instance.pk).checked_at
    assert len(alarms()) == 1
