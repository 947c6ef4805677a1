"""Checks count while an operation is open, but for the steps that cut the customer off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs
from pytest_django.fixtures import Settings

from instances.checks.record import record
from instances.errors import EngineUnreachable
from instances.incidents import deadlines
from instances.models import Incident, Instance, Operation
from instances.operations import service
from instances.operations.attempts import TryAgain
from instances.operations.procedures import restart
from tests.factories import ASKED, World, a_check, a_failure, health_of, interrupt
from tests.fast.updates import answers_by_image, begin, publish, start_first

pytestmark = pytest.mark.django_db
Seen = list[tuple[str, bool]]


def fail(world: World, instance: Instance, times: int = 1) -> list[str]:
    """Failed checks half a minute apart; returns why those that did not count were left out."""
    skipped = []
    for _ in range(times):
        world.clock.advance(30)
        [recorded], _ = record([a_failure(world, instance)], world.now)
        skipped.append(recorded.skipped)
        assert not (recorded.verdict and recorded.verdict.restart)
    return skipped


def test_a_container_that_dies_during_a_long_pull_is_an_outage_and_told(
    world: World, settings: Settings
) -> None:
    settings.CRITICAL_AFTER, long = 60, 3 * 60
    instance = world.instance()
    publish(world)
    pulling: Callable[..., object] = world.engine.pull

    def pull(*given: object) -> object:
        world.engine.change(instance.container_name, state="exited")
        assert fail(world, instance, long // 30) == [""] * (long // 30)
        deadlines.apply_due(world.now)
        return pulling(*given)

    world.engine.pull = pull  # type: ignore[method-assign,assignment]
    operation = begin(world)
    with pytest.MonkeyPatch.context() as without_bound:
        without_bound.setattr("instances.operations.procedure.PULL_SECONDS", 2 * long)
        service.run_to_end(operation.pk, world.outside)
    incident = Incident.objects.get()
    assert (incident.severity, incident.is_open) == ("critical", False)
    assert (incident.restarts, health_of(instance).status) == (0, "healthy")
    assert Operation.objects.count() == 1


def test_an_order_nobody_has_begun_keeps_nobody_from_looking(world: World) -> None:
    instance = world.instance()
    service.begin_restart("c1", ASKED, world.outside)
    world.clock.advance(220)
    record([a_check(world, instance)], world.now)
    assert health_of(instance).status == "healthy"


def test_an_attempt_that_waits_to_be_made_is_not_given_up(world: World) -> None:
    instance = world.instance(status="unhealthy", failures=3, down_since=world.now, restarts_used=2)
    assert restart.begin_automatic(instance.pk, world.now)
    assert fail(world, instance, 3) == [""] * 3
    health = health_of(instance)
    assert (health.status, health.failures, health.restarts_used) == ("restarting", 6, 3)
    assert health.next_check_at


def test_an_unhealthy_instance_is_not_restarted_beside_another_operation(world: World) -> None:
    instance = world.instance()
    begin(world)
    fail(world, instance, 3)
    assert health_of(instance).status == "unhealthy"
    assert restart.begin_automatic(instance.pk, world.now) is None
    assert health_of(instance).restarts_used == 0


def test_what_the_operation_interrupts_on_purpose_is_no_failure(world: World) -> None:
    instance = world.instance()
    held = interrupt(begin(world), world)
    assert fail(world, instance) == ["being changed by an operation"]
    held.begin("see running")
    assert fail(world, instance) == [""]


def test_an_interruption_whose_process_died_hides_nothing(world: World) -> None:
    instance = world.instance()
    interrupt(begin(world), world)
    Operation.objects.update(lease_expires_at=world.now)
    assert fail(world, instance) == [""]
    assert health_of(instance).failures == 1


def test_a_short_wait_between_two_tries_belongs_to_what_interrupts(world: World) -> None:
    instance = world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    world.engine.fail_next("stop", EngineUnreachable("It does not answer."))
    with pytest.raises(TryAgain):
        service.run_once(operation.pk, world.outside)
    [recorded], _ = record([a_failure(world, instance)], world.now)
    assert recorded.skipped == "being changed by an operation"
    assert fail(world, instance) == [""]  # nobody took it up again


@pytest.mark.parametrize(("seconds", "undoing"), [(60, False), (5, True)])
def test_in_a_long_wait_and_on_a_way_back_that_fails_everybody_looks_again(
    world: World, seconds: float, undoing: bool
) -> None:
    instance = world.instance()
    held = interrupt(begin(world), world)
    held.write(undoing=undoing)
    held.release(seconds)
    [recorded], _ = record([a_failure(world, instance)], world.now)
    assert recorded.skipped == ""


@pytest.mark.parametrize(("finding", "is_told"), [("renamed", False), ("replaced", False), ("paused", True)])
def test_what_an_operation_does_to_names_is_no_finding(world: World, finding: str, is_told: bool) -> None:
    instance = world.instance()
    begin(world)
    check = a_check(world, instance)
    seen = structs.replace(check.seen, finding=finding, finding_text="It is called otherwise.")
    record([structs.replace(check, seen=seen)], world.now)
    assert (Instance.objects.get().finding == finding) is is_told
    assert Incident.objects.exists() is is_told


def interruptions(world: World, operation: Operation) -> Seen:
    """Each step of the operation with whether checks are left out meanwhile, as the row said."""
    seen: Seen = []

    def note() -> None:
        row = Operation.objects.get()
        if row.steps and (not seen or seen[-1][0] != row.steps[-1]["name"]):
            seen.append((row.steps[-1]["name"], row.interrupts))

    for verb in ("stop", "start", "inspect", "remove", "rename", "pull", "create"):
        _before(world, verb, note)
    service.run_to_end(operation.pk, world.outside)
    return seen


def _before(world: World, verb: str, note: Callable[[], None]) -> None:
    real = getattr(world.engine, verb)

    def noted(*given: object, **named: object) -> object:
        note()
        return real(*given, **named)

    setattr(world.engine, verb, noted)


def test_an_update_that_stops_first_interrupts_until_the_new_container_is_proven(world: World) -> None:
    world.instance()
    publish(world)
    seen = dict(interruptions(world, begin(world)))
    cut_off = [name for name, interrupts in seen.items() if interrupts]
    gate = ["wait until healthy", "watch"]
    assert cut_off == ["set old aside", "name next", "stop old", "start next", *gate]
    assert not Operation.objects.get().interrupts


def test_an_update_that_starts_first_cuts_nobody_off_before_the_new_one_serves(world: World) -> None:
    start_first(world)
    world.instance()
    publish(world)
    seen = interruptions(world, begin(world))
    assert [interrupts for name, interrupts in seen if name in ("pull", "start next", "watch")] == [False] * 3


def test_a_way_back_interrupts_once_the_customer_was_cut_off(world: World) -> None:
    instance = world.instance()
    publish(world)
    answers_by_image(world, instance.port)
    seen = dict(interruptions(world, begin(world)))
    undone = {name: interrupts for name, interrupts in seen.items() if name.startswith("undo")}
    assert undone["undo stop old"] and undone["undo note old"]
    assert Operation.objects.get().status == "rolled_back"
