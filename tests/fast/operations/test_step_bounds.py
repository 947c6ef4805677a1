"""A step takes no longer than its bound: past it, it is given up and undone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from instances.containers.timings import LONGEST_STOP
from instances.http.probe import ProbeResult
from instances.limits import PULL_SECONDS
from instances.models import Instance, Operation, Plan
from instances.operations import service
from instances.operations.procedure import Procedure, StepTookTooLong, pull_limit
from instances.operations.procedures import decommission, provision, restart
from instances.operations.procedures import update_start_first as start_first
from instances.operations.procedures import update_stop_first as stop_first
from tests.factories import ASKED, World, health_of
from tests.fakes.outside import fails
from tests.fast.updates import OLD, begin, in_order, publish, update

pytestmark = pytest.mark.django_db
PULLS = {"pull", "image", "recreate", "start"}


def crawl(world: World, seconds: float) -> None:
    """From now on a pull says something every minute, for this long."""
    real: Callable[..., Any] = world.engine.pull

    def pull(ref: str, progress: Callable[[str], None], login: Any = None) -> Any:
        for _ in range(int(seconds // 60)):
            world.clock.advance(60)
            progress("Downloading")
        return real(ref, progress, login)

    world.engine.pull = pull  # type: ignore[method-assign,assignment]


def test_a_pull_that_crawls_past_its_bound_ends_the_update_and_nothing_else(world: World) -> None:
    world.instance()
    publish(world)
    began = world.now
    crawl(world, 3 * PULL_SECONDS)
    done = update(world)
    assert (done.status, done.error) == ("failed", "pull took too long and was given up.")
    assert (world.now - began).total_seconds() < PULL_SECONDS + 120
    assert (in_order(world).image_id, world.engine.stops) == (OLD, {})


def test_provisioning_gives_a_pull_no_longer_either(world: World) -> None:
    world.engine.images.clear()
    publish(world)
    crawl(world, 3 * PULL_SECONDS)
    result = service.begin_provision(
        provision.ProvisionRequest("new", "new.example.com", "pro", {}), ASKED, world.outside
    )
    done = service.run_to_end(result.pk, world.outside)
    assert (done.status, done.error) == ("failed", "image took too long and was given up.")
    assert world.nothing_is_left_of("new")


def test_a_container_that_starts_again_and_again_is_not_waited_for_without_end(world: World) -> None:
    """Each run has its grace anew, so the grace alone would never be over."""
    instance = world.instance()

    def restarted() -> Any:
        world.clock.advance(4)
        world.engine.change(instance.container_name, started_at=world.now)
        return fails()

    world.probe.answers[instance.port or 0] = restarted
    began = world.now
    operation = service.begin_restart("c1", ASKED, world.outside)
    done = service.run_to_end(operation.pk, world.outside)
    assert (done.status, done.error) == ("failed", "wait until healthy took too long and was given up.")
    assert (world.now - began).total_seconds() < 1000
    assert health_of(instance).status != "restarting"


@pytest.mark.parametrize("dies_slowly", [False, True])
def test_a_way_back_to_what_does_not_get_healthy_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, *, dies_slowly: bool
) -> None:
    """Also where a start may take longer than most steps, and where each run has its grace anew."""
    monkeypatch.setattr("instances.operations.attempts.REFUSALS", 2)
    instance = world.instance()
    Plan.objects.update(start_grace=5 if dies_slowly else 900)
    world.clock.coarse = 3 if dies_slowly else 30
    publish(world)
    world.probe.answers[instance.port or 0] = lambda: _fails_in_a_new_run(world, instance, anew=dies_slowly)
    began, done = world.now, update(world)
    assert (done.status, "old_is_ill" in done.facts) == ("rolled_back", True)
    assert (world.now - began).total_seconds() < 2 * (900 + 600)
    assert (health_of(instance).status, health_of(instance).failures > 0) == ("unhealthy", True)


def _fails_in_a_new_run(world: World, instance: Instance, *, anew: bool) -> ProbeResult:
    old = world.engine.inspect(instance.container_id)
    if anew and old and old.state == "running":
        world.engine.change(old.id, started_at=world.now)
    return fails()


def test_what_takes_too_long_behind_the_point_of_no_return_ends_as_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_: Any, **__: Any) -> None:
        raise StepTookTooLong("It took too long and was given up.")

    world.instance()
    publish(world)
    operation = begin(world)
    monkeypatch.setattr(world.engine, "remove", too_long)
    done = service.run_to_end(operation.pk, world.outside)
    assert (done.status, done.error.split(". ")[0]) == ("failed", "It took too long and was given up")


def test_a_slow_pull_within_its_bound_is_waited_for_and_leaves_the_next_step_its_own(world: World) -> None:
    world.instance()
    publish(world)
    crawl(world, PULL_SECONDS - 120)
    done = update(world)
    assert {step["status"] for step in done.steps} == {"done"}


@pytest.mark.parametrize(
    "procedure",
    [m.PROCEDURE for m in (decommission, provision, restart, start_first, stop_first)],
    ids=lambda procedure: f"{procedure.kind}-{len(procedure.steps)}",
)
def test_every_step_has_a_bound_and_what_may_pull_has_time_to(procedure: Procedure, world: World) -> None:
    work = _work(world, undoing=False)
    limits = {step.name: step.limit(work) for step in procedure.steps}
    assert all(0 < limit <= 1800 for limit in limits.values())
    assert {step.name for step in procedure.steps if step.limit is pull_limit} == PULLS & set(limits)
    work.instance.plan.stop_timeout = LONGEST_STOP
    longer = {step.name for step in procedure.steps if step.limit(work) > 4 * LONGEST_STOP}
    assert {name for name in limits if name.startswith("stop")} <= longer


def test_the_way_back_has_time_to_fetch_the_image_from_before(world: World) -> None:
    back = _work(world, undoing=True)
    limits = {step.name: step.limit(back) for step in stop_first.PROCEDURE.steps}
    assert limits["stop old"] == pull_limit(back)


def _work(world: World, *, undoing: bool) -> Any:
    return SimpleNamespace(instance=world.instance(), operation=Operation(undoing=undoing))


def test_a_step_done_again_by_another_process_has_its_whole_bound(world: World) -> None:
    """What the first one used up, or a night without workers, is not taken from it."""
    world.instance()
    publish(world)
    operation = begin(world)
    with pytest.MonkeyPatch.context() as dies:
        dies.setattr(world.engine, "pull", _dies)
        with pytest.raises(SystemExit):
            service.run_once(operation.pk, world.outside)
    world.clock.advance(8 * 3600)
    crawl(world, PULL_SECONDS - 120)
    assert service.run_to_end(operation.pk, world.outside).status == "succeeded"
    assert Operation.objects.get().finished_at


def _dies(*_: object) -> None:
    raise SystemExit
