"""One alarm about dockmgr itself: raised, changed and ended by whatever process sees it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import OperationalError

from instances.checks import sweeps
from instances.errors import OutOfReachError
from instances.incidents.acknowledge import acknowledge
from instances.models import Channel, Incident, Pulse
from instances.monitoring import self_check
from instances.monitoring.self_check import SelfCheck, show_life
from instances.monitoring.self_rules import Part, cause, queue_part
from instances.operations import service
from tests.factories import ASKED, World
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db
INTERVAL = 300.0
SERVED = (Part.CHECKS_SERVED, Part.CHANGES_SERVED, Part.MESSAGES_SERVED)
WORKERS = (Part.CLOCKWORK, *SERVED)


class Broker:
    """How long the queues are; out of reach when told so."""

    def __init__(self) -> None:
        self.lengths: dict[str, int] = {"health": 0, "operations": 0}
        self.down = False

    def __call__(self) -> dict[str, int]:
        if self.down:
            raise OutOfReachError("The broker can't be reached (DOCKMGR_BROKER_URL).")
        return dict(self.lengths)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def watch(world: World, broker: Broker) -> SelfCheck:
    """A worker's, up for a day; a sweep finished just now and the clockwork goes."""
    world.instance()
    sweep(world)
    live(world, *Part)
    return a_watch(world, broker, up_since=world.now - timedelta(days=1))


def a_watch(
    world: World, broker: Broker, *, up_since: datetime | None = None, part: Part | None = None
) -> SelfCheck:
    return SelfCheck(up_since or world.now, lambda: INTERVAL, broker, part)


def sweep(world: World) -> None:
    sweeps.finish(sweeps.start(world.now, INTERVAL), world.now)


def alarm() -> Incident | None:
    return Incident.objects.filter(kind="self", resolved_at=None).first()


def pass_time(world: World, seconds: float, *alive: Part) -> None:
    """Time passes, and these parts show life at its end."""
    world.clock.advance(seconds)
    live(world, *alive)


def live(world: World, *parts: Part) -> None:
    Pulse.objects.bulk_create(
        [Pulse(name=part, at=world.now) for part in parts],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["at"],
    )


def locked(*_: object) -> None:
    raise OperationalError("canceling statement due to lock timeout")


def test_what_else_is_gone_is_told_to_whoever_has_acknowledged_the_first(
    world: World, watch: SelfCheck
) -> None:
    a_channel()
    told = []
    for alive in ((Part.CLOCKWORK, *SERVED), (Part.CLOCKWORK,), (Part.CLOCKWORK, *SERVED), (Part.CLOCKWORK,)):
        pass_time(world, 70, *alive)
        watch.judge(world.now)
        told.append(told_after(world, 0))
        acknowledge(Incident.objects.open().get().pk, "ann", world.now)
    opened = ["ops opened critical self"]
    assert told == [opened, opened, [], []]


def test_who_could_not_judge_for_long_does_not_miss_others_at_once(
    world: World, watch: SelfCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.judge(world.now)
    with monkeypatch.context() as patched, pytest.raises(OperationalError):
        patched.setattr(self_check, "open_one", locked)
        watch.judge(world.now)
    pass_time(world, 75)
    sweep(world)
    watch.judge(world.now)
    assert alarm() is None
    pass_time(world, 61)
    sweep(world)
    watch.judge(world.now)
    missed = alarm()
    assert missed is not None and "beat" in missed.cause


def test_a_broker_that_stays_away_is_one_line(
    world: World, watch: SelfCheck, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    for down in (True, True, True, False, True):
        broker.down = down
        watch.look_at_queues(world.now)
    assert caplog.messages == ["The broker can't be reached (DOCKMGR_BROKER_URL)."] * 2


def test_all_is_well_and_nothing_is_said(world: World, watch: SelfCheck) -> None:
    watch.look_at_queues(world.now)
    watch.judge(world.now)
    assert not Incident.objects.exists()


def test_sweeps_that_stop_are_an_alarm_after_two_intervals(world: World, watch: SelfCheck) -> None:
    pass_time(world, 2 * INTERVAL, *Part)
    watch.judge(world.now)
    assert alarm() is None
    pass_time(world, 3, *Part)
    watch.judge(world.now)
    found = alarm()
    assert found and (found.key, found.severity, found.cause) == ("self", "critical", "sweeps")
    assert (
        found.message == "No sweep has finished for two intervals: look at beat, the workers and the broker."
    )
    assert found.notify_at == world.now
    sweep(world)
    watch.judge(world.now)
    assert alarm() is None
    assert Incident.objects.get().resolution == "all parts of dockmgr work again"


def test_without_instances_no_sweep_is_missed(world: World, broker: Broker) -> None:
    watch = a_watch(world, broker)
    pass_time(world, 9999, *WORKERS)
    watch.judge(world.now)
    assert alarm() is None


def test_a_long_sweep_that_somebody_attends_is_not_missed(world: World, watch: SelfCheck) -> None:
    pass_time(world, 2 * INTERVAL, *Part)
    sweeps.start(world.now, INTERVAL, attended=True)
    pass_time(world, 30, *Part)
    watch.judge(world.now)
    assert alarm() is None
    pass_time(world, 60, *Part)
    watch.judge(world.now)
    assert alarm()


def test_a_sweep_that_never_ends_is_no_sweep(world: World, watch: SelfCheck) -> None:
    pass_time(world, 2 * INTERVAL, *Part)
    sweeps.start(world.now, INTERVAL)
    pass_time(world, 3, *Part)
    watch.judge(world.now)
    assert alarm()


def test_beat_that_dies_is_named_before_its_sweeps_are_missed(world: World, watch: SelfCheck) -> None:
    pass_time(world, 61, *WORKERS)
    watch.judge(world.now)
    found = alarm()
    assert found and found.cause == "beat"
    assert "Beat shows no sign of life" in found.message


def test_one_alarm_names_all_that_is_gone_and_what_is_left_of_it(world: World, watch: SelfCheck) -> None:
    pass_time(world, 61)
    watch.judge(world.now)
    first = alarm()
    assert first and first.cause == cause([Part.BEAT, *WORKERS])
    pass_time(world, 2 * INTERVAL)
    watch.judge(world.now)
    show_life(Part.BEAT, world.now)
    watch.judge(world.now)
    last = alarm()
    assert last and (last.pk, last.cause) == (first.pk, cause([Part.SWEEPS, *WORKERS]))
    assert list(last.events.filter(kind="cause").values_list("text", flat=True))[-1] == last.message


def test_what_does_not_change_is_not_told_again(world: World, watch: SelfCheck) -> None:
    pass_time(world, 61, *WORKERS)
    watch.judge(world.now)
    Incident.objects.update(notify_at=None)
    pass_time(world, 20, *WORKERS)
    watch.judge(world.now)
    found = alarm()
    assert found and found.notify_at is None


def test_beat_itself_tells_when_all_workers_are_gone(world: World, broker: Broker, watch: SelfCheck) -> None:
    beat = a_watch(world, broker, up_since=world.now, part=Part.BEAT)
    pass_time(world, 61)
    beat.judge(world.now)
    found = alarm()
    assert found and found.cause == cause(WORKERS)
    assert Pulse.objects.get(name="beat").at == world.now


def test_a_start_after_a_pause_alarms_nobody(world: World, broker: Broker, watch: SelfCheck) -> None:
    pass_time(world, 86400)
    fresh = a_watch(world, broker)
    pass_time(world, 30)
    fresh.judge(world.now)
    assert alarm() is None


def test_a_process_that_just_started_does_not_end_what_it_cannot_judge(
    world: World, broker: Broker, watch: SelfCheck
) -> None:
    pass_time(world, 86400, *WORKERS)
    watch.judge(world.now)
    a_watch(world, broker).judge(world.now)
    found = alarm()
    assert found and found.cause == "sweeps,beat"


def test_a_queue_that_stays_too_long_is_an_alarm(world: World, broker: Broker, watch: SelfCheck) -> None:
    broker.lengths["operations"] = 1001
    watch.look_at_queues(world.now)
    pass_time(world, 59, *Part)
    watch.look_at_queues(world.now)
    watch.judge(world.now)
    assert alarm() is None
    pass_time(world, 1)
    watch.judge(world.now)
    found = alarm()
    assert found and (found.cause, found.message) == (
        "queues",
        "A queue keeps growing: are there enough workers?",
    )
    broker.lengths["operations"] = 1000
    watch.look_at_queues(world.now)
    watch.judge(world.now)
    assert alarm() is None


def test_a_queue_that_was_short_in_between_is_none(world: World, broker: Broker, watch: SelfCheck) -> None:
    for length in (5000, 5000, 7, 5000, 5000):
        broker.lengths["health"] = length
        watch.look_at_queues(world.now)
        pass_time(world, 25, *Part)
    watch.judge(world.now)
    assert alarm() is None


def test_a_broker_out_of_reach_says_nothing_of_its_queues(
    world: World, broker: Broker, watch: SelfCheck
) -> None:
    broker.lengths["health"] = 5000
    watch.look_at_queues(world.now)
    pass_time(world, 60, *Part)
    watch.judge(world.now)
    broker.down = True
    watch.look_at_queues(world.now)
    watch.judge(world.now)
    assert alarm()


def test_signs_of_life_are_written_every_few_seconds(world: World) -> None:
    first = world.now
    show_life(Part.CLOCKWORK, first)
    world.clock.advance(4)
    show_life(Part.CLOCKWORK, world.now)
    assert Pulse.objects.get(name="clockwork").at == first
    world.clock.advance(1)
    show_life(Part.CLOCKWORK, world.now)
    assert Pulse.objects.get(name="clockwork").at == world.now


@pytest.mark.parametrize("queue", ["health", "operations", "notifications"])
def test_a_queue_whose_workers_are_gone_is_named(world: World, watch: SelfCheck, queue: str) -> None:
    gone = queue_part(queue)
    pass_time(world, 61, *(part for part in Part if part != gone))
    watch.judge(world.now)
    found = alarm()
    assert found and (found.severity, found.cause) == ("critical", gone)
    assert f"queue {queue}" in found.message
    pass_time(world, 1, *Part)
    watch.judge(world.now)
    assert alarm() is None


def test_an_order_nobody_begins_is_an_alarm_after_five_minutes(world: World, watch: SelfCheck) -> None:
    operation = service.begin_restart("c1", ASKED, world.outside)
    pass_time(world, 300, *Part)
    sweep(world)
    watch.judge(world.now)
    assert alarm() is None
    pass_time(world, 1, *Part)
    watch.judge(world.now)
    found = alarm()
    assert found and found.cause == "orders"
    service.run_to_end(operation.pk, world.outside)
    watch.judge(world.now)
    assert alarm() is None


def test_the_last_channel_that_refuses_is_an_alarm(
    world: World, watch: SelfCheck, caplog: pytest.LogCaptureFixture
) -> None:
    """How a refusal disables a channel is seen in the outbox's own tests; there it is the last one."""
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/")
    watch.judge(world.now)
    assert alarm() is None
    Channel.objects.update(enabled=False, disabled_reason="It answered 404.")
    watch.judge(world.now)
    found = alarm()
    assert found and found.cause == "channels"
    assert found.message in caplog.text
    Channel.objects.update(enabled=True, disabled_reason="")
    watch.judge(world.now)
    assert alarm() is None


def test_a_channel_somebody_switched_off_and_none_at_all_are_no_alarm(world: World, watch: SelfCheck) -> None:
    watch.judge(world.now)
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/", enabled=False)
    watch.judge(world.now)
    assert alarm() is None
