"""What dockmgr itself is at fault for is charged to no instance and no host."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from instances.checks.record import record
from instances.errors import (
    DEFECT,
    DiskFull,
    DockmgrError,
    EngineUnusable,
    OutOfReachError,
    OwnDefect,
    OwnPassingTrouble,
)
from instances.health.response import PROBER, Outcome, sentence
from instances.health.state import State
from instances.http.probe import ProbeResult
from instances.incidents import hosts
from instances.limits import STEP
from instances.management.codes import BAD, OUT_OF_REACH
from instances.management.instance_change import outcome
from instances.models import HostWatch, Incident, IncidentEvent, Instance, Notification, Operation
from instances.monitoring.hosts import ask_due
from instances.monitoring.self_check import not_looked_at
from instances.monitoring.self_rules import Part, PartState, Signs, judge_parts
from instances.operations import service
from instances.operations.abandon import abandon
from instances.operations.procedures.restart import begin_automatic
from tests.factories import ASKED, World, a_failure, health_of
from tests.fast.conftest import Run
from tests.fast.models.test_unreadable import spoil
from tests.fast.telling import a_channel
from tests.rows import row

pytestmark = pytest.mark.django_db

USED_UP = "The Docker Engine cannot be asked for want of something on this machine: Too many open files."
BLIND = ProbeResult(Outcome.UNKNOWN, PROBER, None, 3, None, sentence(PROBER))


def broker_away(world: World, operation: Operation) -> Operation:
    assert service.withdraw(operation, "The broker can't be reached.", world.outside)
    operation.refresh_from_db()
    return operation


def carried_out(world: World, operation: Operation) -> Operation:
    return service.run_to_end(operation.pk, world.outside)


def lost_key(world: World, operation: Operation) -> Operation:
    spoil(Instance.objects.get(), "adopted")
    return carried_out(world, operation)


def a_defect(world: World, operation: Operation) -> Operation:
    world.engine.fail_next("stop", KeyError("a programmer's mistake"))
    return carried_out(world, operation)


def a_library_fails(world: World, operation: Operation) -> Operation:
    world.engine.fail_next("stop", OwnDefect("The Docker client did not stop a container: odd."))
    return carried_out(world, operation)


def no_files_left(world: World, operation: Operation) -> Operation:
    for _ in range(8):
        world.engine.fail_next("stop", OwnPassingTrouble(USED_UP))
    return carried_out(world, operation)


def given_up_by_hand(world: World, operation: Operation) -> Operation:
    return abandon(str(operation.pk), ASKED, world.outside)


Trouble = Callable[[World, Operation], Operation]
UNTOUCHED: list[Trouble] = [
    broker_away, a_defect, a_library_fails, no_files_left, given_up_by_hand, lost_key,
]  # fmt: skip


def kept(state: State) -> tuple[object, ...]:
    """What nothing of ours may move."""
    return (
        state.status, state.failures, state.successes, state.restarts_used, state.down_since,
        state.last_healthy_at, state.last_restart_at, state.flaps,
    )  # fmt: skip


def test_a_healthy_customer_stays_what_it_was(world: World) -> None:
    a_channel()
    earlier = world.now - timedelta(days=1)
    instance = world.instance("c1", last_restart_at=earlier)
    before = health_of(instance).state()
    for trouble in UNTOUCHED:
        with row(trouble.__name__):
            ended = trouble(world, service.begin_restart("c1", ASKED, world.outside))
            after = health_of(instance).state()
            assert ended.status == "failed" and kept(after) == kept(before)
            assert after.next_check_at == world.now  # it is looked at, and found as it is
            assert not Incident.objects.exists() and not Notification.objects.exists()
            assert not HostWatch.objects.exclude(failures=0).exists()


@pytest.mark.parametrize("trouble", [broker_away, a_defect])
def test_an_automatic_restart_costs_no_attempt_and_waits(world: World, trouble: Trouble) -> None:
    instance = world.instance("c1")
    record([a_failure(world, instance, "exited")], world.now)
    before = health_of(instance).state()
    operation = begin_automatic(instance.pk, world.now)
    assert operation
    trouble(world, operation)
    after = health_of(instance).state()
    assert kept(after) == kept(before) and after.restart_not_before
    assert after.restart_not_before > world.now + timedelta(minutes=4)
    assert Incident.objects.get().restarts == 0
    assert "none was made" in IncidentEvent.objects.filter(kind="restart").order_by("pk")[1].text


def test_what_was_stopped_all_the_same_is_not_called_healthy(world: World) -> None:
    instance = world.instance("c1")
    world.engine.fail_next("start", KeyError("a programmer's mistake"))
    ended = world.restart()
    health = health_of(instance)
    assert (ended.status, ended.error) == ("failed", DEFECT)
    assert (health.status, health.failures, health.down_since) == ("unknown", 0, None)
    assert (health.next_check_at, health.last_restart_at) == (world.now, ended.started_at)


def test_a_gate_that_can_t_look_blames_nobody(world: World) -> None:
    instance = world.instance("c1")
    world.probe.answers[instance.port or 0] = BLIND
    ended = world.restart()
    assert (ended.status, ended.facts["own_trouble"], ended.facts["host_trouble"]) == ("failed", True, False)
    assert (health_of(instance).failures, health_of(instance).reason) == (0, "")


def test_an_engine_that_is_set_up_wrongly_is_the_host_s(world: World) -> None:
    instance = world.instance("c1")
    world.engine.fail_next("stop", EngineUnusable("The Docker Engine cannot be used: no such file."))
    ended = world.restart()
    health = health_of(instance)
    assert (ended.facts["host_trouble"], health.failures, health.status) == (True, 0, "unknown")
    assert health.last_restart_at is None  # nothing was touched
    assert (health.reason, health.error) == ("engine", "The Docker Engine cannot be used: no such file.")


@pytest.mark.parametrize(("kind", "code"), [(DiskFull, BAD), (OutOfReachError, OUT_OF_REACH)])
def test_what_lasts_on_a_host_that_answers_costs_no_attempt_and_is_tried_seldom(
    world: World, kind: type[DockmgrError], code: int
) -> None:
    instance = world.instance("c1")
    record([a_failure(world, instance, "exited")], world.now)
    told = "The Docker Engine did not start container c1: its disk is full."
    for _ in range(STEP.tries):
        world.engine.fail_next("start", kind(told))
    operation = begin_automatic(instance.pk, world.now)
    assert operation
    ended, health = carried_out(world, operation), health_of(instance)
    assert (ended.status, ended.error, outcome(ended)) == ("failed", told, code)
    assert (health.status, health.restarts_used, health.reason, health.error) == (
        "unknown",
        0,
        "engine",
        told,
    )
    assert health.restart_not_before == health.next_check_at == world.now + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("noted", "code"),
    [({"host_trouble": True}, OUT_OF_REACH), ({"host_trouble": False}, BAD), ({}, BAD)],
)
def test_what_an_older_worker_noted_of_the_host_is_out_of_reach(noted: dict[str, bool], code: int) -> None:
    assert outcome(Operation(status="failed", facts=noted)) == code


def a_probe_defect(world: World, instance: Instance) -> None:
    def breaks() -> ProbeResult:
        raise KeyError("a programmer's mistake")

    world.probe.answers[instance.port or 0] = breaks


def a_blind_probe(world: World, instance: Instance) -> None:
    world.probe.answers[instance.port or 0] = BLIND


def an_engine_nobody_can_ask(world: World, instance: Instance) -> None:
    world.engine.stop(instance.container_id, 1)
    world.engine.fail_next("list_containers", OwnPassingTrouble(USED_UP))
    world.engine.fail_next("inspect", OwnPassingTrouble(USED_UP))


LOOKS = [a_probe_defect, a_blind_probe, an_engine_nobody_can_ask]


@pytest.mark.parametrize("spoilt", LOOKS)
def test_a_look_that_can_t_be_made_moves_nothing(
    world: World, run: Run, spoilt: Callable[[World, Instance], None]
) -> None:
    instance, other = world.instance("c1"), world.instance("c2")
    record([a_failure(world, instance)], world.now)
    world.clock.advance(1)
    HostWatch.objects.all().delete()
    before = health_of(instance).state()
    spoilt(world, instance)
    ran = run("check_health", "--all", "--json")
    [first, second] = ran.document["instances"]
    assert (first["applied"], first["not_applied"]) == (False, "dockmgr itself could not look")
    assert (first["reason"], first["healthy"], second["healthy"]) == (PROBER, False, True)
    assert (ran.code, health_of(instance).state()) == (3, before)
    assert not HostWatch.objects.exists()
    assert health_of(other).checked_at is not None


def test_a_sweep_says_what_it_could_not_look_at_and_ends(world: World, run: Run) -> None:
    instance = world.instance("c1")
    record([a_failure(world, instance)], world.now)
    world.clock.advance(40)
    a_blind_probe(world, instance)
    began = world.now
    ran = run("daily_health", "--json")
    [check] = ran.document["instances"]
    assert (check["status"], check["applied"], check["not_applied"]) == (
        "suspect", False, "dockmgr itself could not look",
    )  # fmt: skip
    assert (ran.code, ran.document["restarted"], world.now - began < timedelta(minutes=1)) == (3, [], True)


def test_what_two_sweeps_could_not_look_at_is_dockmgr_s_alarm(world: World, run: Run) -> None:
    instance = world.instance("c1")
    world.instance("c2")
    run("daily_health")
    assert not_looked_at() == 0
    a_blind_probe(world, instance)
    for expected in (0, 1):
        world.clock.advance(60)
        run("daily_health")
        assert not_looked_at() == expected
    world.probe.answers.clear()
    world.clock.advance(60)
    run("daily_health")
    assert not_looked_at() == 0
    signs = Signs(world.now, world.now - timedelta(hours=1), 900, world.now, unseen=1)
    assert judge_parts(signs)[Part.LOOKS] is PartState.GONE


def test_one_that_is_resumed_and_nobody_can_look_at_counts_after_two_more_sweeps(
    world: World, run: Run
) -> None:
    instance = world.instance("c1")
    run("daily_health")
    service.pause("c1")
    a_blind_probe(world, instance)
    for _ in range(2):
        world.clock.advance(60)
        run("daily_health")
    service.resume("c1")
    for expected in (0, 0, 1):
        assert not_looked_at() == expected
        world.clock.advance(60)
        run("daily_health")
    world.probe.answers.clear()
    world.clock.advance(60)
    run("daily_health")
    assert not_looked_at() == 0


def test_a_host_nobody_could_ask_is_in_no_trouble(world: World) -> None:
    world.instance("c1")
    hosts.suspect([world.host.pk], world.now)
    for _ in range(4):
        world.engine.fail_next("ping", OwnPassingTrouble(USED_UP))
        world.clock.advance(60)
        ask_due(world.outside)
    assert HostWatch.objects.get().failures == 0 and not Incident.objects.exists()
    world.clock.advance(60)
    assert ask_due(world.outside) == 1
    assert HostWatch.objects.get().answered_at == world.now
