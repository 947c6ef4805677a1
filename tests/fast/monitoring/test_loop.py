"""The watch of one process: deadlines, judgements and messages, whatever else does not run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings

from instances.alerts import notify, outbox
from instances.alerts.delivery_rules import SENT, DeliveryResult
from instances.checks import sweeps
from instances.checks.record import record
from instances.documents import Document
from instances.fleet import sweep as sweeping
from instances.fleet.sweep import sweep_here
from instances.fleet.sweep_report import SweepReport
from instances.incidents import deadlines
from instances.models import Channel, Health, HostWatch, Incident, Instance, Mute, Notification, Pulse
from instances.monitoring import fleet, loop
from instances.monitoring.loop import Monitor
from instances.monitoring.self_check import SelfCheck, show_life
from instances.monitoring.self_rules import NEEDED, Part
from tests.factories import World, a_failure, health_of
from tests.fakes.outside import fails, passes
from tests.fast.inline import InlineExecutor

pytestmark = pytest.mark.django_db(transaction=True)
Inbox = list[Document]


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Inbox:
    """A channel for everything from warnings on, and what arrived there."""
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/", min_level="info")
    arrived: Inbox = []

    def send(_url: str, document: Document, _timeout: float) -> DeliveryResult:
        arrived.append(document)
        return SENT

    deliver = outbox.deliver
    monkeypatch.setattr(outbox, "deliver", lambda clock: deliver(clock, send))
    return arrived


def turns(world: World, watch: Monitor, seconds: int, step: int = 5) -> None:
    """What the threads of a process do in so many seconds."""
    for _ in range(seconds // step):
        world.clock.advance(step)
        watch.ask()
        watch.tick()
        outbox.deliver(world.clock)


def test_being_down_for_too_long_is_found_and_told_at_once_though_nobody_checks_any_more(
    world: World, inbox: Inbox
) -> None:
    record([a_failure(world, world.instance())], world.now)
    began, watch = world.now, Monitor(world.outside)
    turns(world, watch, 580, step=145)
    assert (Incident.objects.get(kind="instance").severity, inbox) == ("info", [])
    turns(world, watch, 30, step=10)
    incident = Incident.objects.get(kind="instance")
    assert incident.severity == "critical"
    assert incident.confirmed_at
    assert incident.confirmed_at - began <= timedelta(seconds=610)
    assert [(told["kind"], told["level"], told["customer_id"]) for told in inbox] == [
        ("opened", "critical", "c1")
    ]


def containers_exit(world: World, size: int) -> list[Instance]:
    instances = [world.instance(f"c{number}") for number in range(size)]
    for instance in instances:
        world.engine.change(instance.container_name, state="exited")
    record([a_failure(world, instance, "exited") for instance in instances], world.now)
    return instances


def test_a_host_that_fails_is_one_message_and_one_more_when_it_is_over(world: World, inbox: Inbox) -> None:
    instances, watch = containers_exit(world, 2), Monitor(world.outside)
    world.engine.unreachable = True
    turns(world, watch, 45, step=15)
    assert [(told["incident_kind"], told["level"], told["host"]) for told in inbox] == [
        ("host", "critical", "local")
    ]
    world.engine.unreachable = False
    turns(world, watch, 20, step=10)
    assert {health_of(instance).next_check_at for instance in instances} <= {
        world.now - timedelta(seconds=seconds) for seconds in range(21)
    }
    Health.objects.update(status="healthy", down_since=None)
    turns(world, watch, 125, step=125)
    assert [told["kind"] for told in inbox] == ["opened", "summary"]
    assert "0 of 2 instances of host local are still down" in inbox[1]["message"]


def workers_live(world: World) -> None:
    for part in NEEDED:
        show_life(part, world.now)


def test_beat_that_stops_is_told_by_a_worker_in_time(world: World, inbox: Inbox) -> None:
    world.instance()
    interval = 30.0
    began = world.now
    worker = Monitor(world.outside, itself=SelfCheck(began, lambda: interval, dict))
    sweeps.finish(sweeps.start(world.now, interval), world.now)
    workers_live(world)
    turns(world, worker, int(interval), step=15)
    workers_live(world)
    stopped = world.now - timedelta(seconds=interval)
    turns(world, worker, 2 * int(interval) + 10 - int(interval))
    [told] = inbox
    assert (told["incident_kind"], told["level"], told["cause"]) == ("self", "critical", "sweeps")
    sent = Notification.objects.get().sent_at
    assert sent
    assert sent - stopped <= timedelta(seconds=2 * interval + 10)


def test_beat_shows_life_whatever_else_it_can_not_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("canceling statement due to lock timeout")

    beat = Monitor(world.outside, engines=False, itself=SelfCheck(world.now, lambda: 900.0, dict, Part.BEAT))
    monkeypatch.setattr(deadlines, "apply_due", locked)
    with pytest.raises(OperationalError):
        beat.tick()
    assert Pulse.objects.get(name=Part.BEAT).at == world.now


def test_a_machine_that_stood_still_does_not_miss_the_others_at_once(world: World) -> None:
    world.instance()
    sweeps.finish(sweeps.start(world.now, 900), world.now)
    worker = Monitor(world.outside, itself=SelfCheck(world.now - timedelta(days=1), lambda: 900.0, dict))
    show_life(Part.BEAT, world.now)
    workers_live(world)
    worker.tick()
    world.clock.advance(300)
    worker.tick()
    assert not Incident.objects.filter(kind="self").exists()
    workers_live(world)
    turns(world, worker, 58, step=29)
    workers_live(world)
    turns(world, worker, 10)
    assert Incident.objects.get(kind="self").cause == "beat"


def test_who_can_not_judge_dockmgr_itself_goes_on_with_all_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    worker = Monitor(world.outside, itself=SelfCheck(world.now, lambda: 1 / 0, dict))
    monkeypatch.setattr(fleet, "judge_fleet", lambda _now: done.append("fleet"))
    monkeypatch.setattr(notify, "enqueue_notifications", lambda _now: done.append("messages"))
    with pytest.raises(ZeroDivisionError):
        worker.tick()
    assert done == ["fleet", "messages"]


def test_beat_asks_no_engine_and_tests_nothing(world: World) -> None:
    record([a_failure(world, world.instance())], world.now)
    world.engine.unreachable = True
    world.probe.of_itself = fails("timeout")
    beat = Monitor(world.outside, engines=False, itself=SelfCheck(world.now, lambda: 900.0, dict, Part.BEAT))
    turns(world, beat, 60, step=15)
    host = HostWatch.objects.get()
    assert (host.asked_at, host.ask_at is None) == (None, False)
    assert not Incident.objects.exclude(kind="instance").exists()


def test_an_idle_turn_is_a_few_cheap_queries(
    world: World, inbox: Inbox, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    world.instance()
    sweeps.finish(sweeps.start(world.now, 900), world.now)
    watch = Monitor(world.outside, itself=SelfCheck(world.now, lambda: 900.0, dict))
    turns(world, watch, 10, step=2)
    world.clock.advance(10)
    with django_assert_max_num_queries(20):
        watch.tick()
    with django_assert_max_num_queries(10):
        watch.tick()
    watch.ask()
    with django_assert_max_num_queries(2):
        watch.ask()


def test_a_round_is_made_once_an_interval(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = []
    watch = Monitor(world.outside)
    monkeypatch.setattr(watch, "tick", lambda: ticks.append(world.now))
    for _ in range(50):
        watch.round()
        world.clock.advance(0.1)
    assert len(ticks) == 3


@pytest.fixture
def one_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "ThreadPoolExecutor", InlineExecutor)
    world.clock.coarse = 2


def sweep(world: World) -> SweepReport:
    return sweep_here("tests", world.outside)


@pytest.mark.usefixtures("one_at_a_time")
def test_a_sweep_waits_for_what_is_held_and_for_nothing_else(world: World, inbox: Inbox) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited")
    began = world.now
    report = sweep(world)
    assert [(told["kind"], told["level"], told["restarts"]) for told in inbox] == [("recovered", "info", 1)]
    assert 25 <= (world.now - began).total_seconds() - report.seconds <= 35
    world.clock.advance(900)
    began = world.now
    sweep(world)
    assert (world.now - began, len(inbox)) == (timedelta(0), 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_without_a_channel_a_sweep_waits_for_nobody(world: World) -> None:
    broken = world.instance(status="failed", failures=6, restarts_used=3, down_since=world.now)
    world.probe.answers[broken.port or 0] = fails()
    began = world.now
    sweep(world)
    assert world.now - began < timedelta(seconds=5)


@pytest.mark.usefixtures("one_at_a_time")
def test_a_sweep_that_finds_an_engine_gone_tells_it(
    world: World, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    world.engine.unreachable = True
    world.probe.answers[instance.port or 0] = fails("timeout")
    assert sweep(world).rows[0].status == "unknown"
    assert [(told["incident_kind"], told["level"]) for told in inbox] == [("host", "critical")]


@pytest.mark.usefixtures("one_at_a_time")
def test_a_sweep_heals_a_wave_one_at_a_time(world: World, settings: Settings) -> None:
    world.clock.coarse, settings.WAVE_LEAST = 20.0, 3
    instances = [world.instance(f"c{number}") for number in range(3)]
    for instance in instances:
        world.probe.answers[instance.port or 0] = until_started(world, instance)
    report = sweep(world)
    assert {row.status for row in report.rows} == {"healthy"}
    incident = Incident.objects.get(kind="host")
    assert incident.cause == "wave"
    in_it = [op for op in report.restarts if op.created_at >= incident.opened_at]
    assert len(report.restarts) == 3
    assert all(later.created_at >= (op.finished_at or world.now) for op, later in pairwise(in_it))


def until_started(world: World, instance: Instance) -> Callable[[], Any]:
    return lambda: passes() if world.engine.starts[instance.container_name] else fails()


@pytest.mark.usefixtures("one_at_a_time")
def test_a_sweep_does_not_wait_for_a_mute_to_end(world: World) -> None:
    instance = world.instance()
    world.engine.change(instance.container_name, state="exited")
    until = world.now + timedelta(days=1)
    Mute.objects.create(instance=instance, starts_at=world.now, until=until, by="ann")
    report = sweep(world)
    assert (report.rows[0].status, report.restarts) == ("unhealthy", [])
    assert report.seconds < 5


@pytest.mark.usefixtures("one_at_a_time")
def test_a_finished_sweep_pings_the_heartbeat(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HEARTBEAT_URL = "http://127.0.0.1:9/secret"
    pinged: list[str] = []
    monkeypatch.setattr("instances.monitoring.heartbeat.ping", pinged.append)
    sweep(world)
    assert pinged == ["http://127.0.0.1:9/secret"]


def test_incidents_of_other_kinds_end_in_their_own_words(world: World) -> None:
    world.instance("c1", down_since=world.now)
    host = Incident(kind="host", host=world.host)
    assert loop.resolution(host) == "1 of 1 instances of host local is still down"
    assert loop.resolution(Incident(kind="fleet")) == "it has passed"
    assert (
        loop.resolution(Incident(kind="instance", downtime=61))
        == "healthy again after 61 s, without an automatic restart"
    )
