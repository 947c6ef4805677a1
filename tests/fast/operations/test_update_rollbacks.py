"""Stop-first updates that meet trouble: it is waited for, or the very container from before runs again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from instances.errors import (
    EngineUnreachable,
    NotFoundOnEngine,
    PermanentError,
    PortTaken,
)
from instances.http.probe import ProbeResult
from instances.models import Instance
from tests.factories import IMAGE, SECRET, World, health_of
from tests.fakes.outside import fails, passes, starts
from tests.fast.updates import (
    NEW,
    NEWEST,
    OLD,
    answers_by_image,
    back_in_place,
    in_order,
    publish,
    steps,
    update,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(world: World) -> Instance:
    """A healthy instance on the old image; the registry has a new one under the same name."""
    publish(world)
    return world.instance()


def test_an_unhealthy_image_is_rolled_back_to_the_very_container(world: World, old: Instance) -> None:
    answers_by_image(world, old.port)
    done = update(world)
    assert (done.status, done.image_before, done.image_after) == ("rolled_back", OLD, OLD)
    assert "did not become healthy" in done.error
    assert steps(done)["undo note old"] == "done"
    back_in_place(world, old)
    assert in_order(world).failed_images == [NEW]


def test_the_failed_containers_last_words_are_kept_without_secrets(world: World, old: Instance) -> None:
    def crash() -> None:
        name = f"{old.container_name}"
        world.engine.write_log(name, f"key {SECRET} is bad\n".encode())
        world.engine.change(name, state="exited", exit_code=3, oom_killed=True, restart_policy="no")

    world.clock.at(1, crash)
    answers_by_image(world, old.port)
    done = update(world)
    assert done.facts["failed_container"] == {"state": "exited", "exit_code": 3, "oom_killed": True}
    [line] = done.facts["logs"]
    assert line.startswith("key ")
    assert SECRET not in str((done.facts, done.steps, done.error))


def test_an_image_that_says_starting_for_ever_is_rolled_back_and_the_next_one_is_taken(
    world: World, old: Instance
) -> None:
    answers_by_image(world, old.port, answer=starts)
    done = update(world)
    assert (done.status, "still starting" in done.error) == ("rolled_back", True)
    back_in_place(world, old)
    publish(world, "agent-3")
    assert update(world).status == "succeeded"
    assert in_order(world).image_id == NEWEST


@pytest.mark.parametrize("moment", [1, 4])
def test_a_new_container_that_somebody_paused_is_rolled_back_and_its_image_not_blamed(
    world: World, old: Instance, moment: float
) -> None:
    def told() -> ProbeResult:
        facts = world.engine.inspect(old.container_name)
        return fails("timeout") if facts and facts.state == "paused" else passes()

    world.probe.answers[old.port or 0] = told
    world.clock.at(moment, lambda: world.engine.change(old.container_name, state="paused"))
    done = update(world)
    assert done.status == "rolled_back"
    assert "it was paused, as `docker pause` does, until that time was over" in done.error
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_an_image_that_takes_its_time_is_waited_for(world: World, old: Instance) -> None:
    ready = world.now.timestamp() + 4
    answers_by_image(
        world, old.port, answer=lambda: passes() if world.now.timestamp() > ready else fails("refused")
    )
    assert update(world).status == "succeeded"
    assert in_order(world).image_id == NEW


def test_an_image_that_ends_after_it_was_healthy_is_rolled_back(world: World, old: Instance) -> None:
    ends = {"state": "exited", "exit_code": 1, "restart_policy": "no"}
    world.clock.at(4, lambda: world.engine.change(old.container_name, **ends))
    done = update(world)
    assert (done.status, steps(done)["watch"]) == ("rolled_back", "failed")
    back_in_place(world, old)
    assert in_order(world).failed_images == [NEW]


def test_a_new_container_that_was_stopped_from_outside_is_started_and_watched_anew(
    world: World, old: Instance
) -> None:
    for moment in (1, 4):
        world.clock.at(moment, lambda: world.engine.stop(old.container_name, 0))
    began = world.now
    done = update(world)
    assert (done.status, world.engine.starts[old.container_name]) == ("succeeded", 3)
    assert (world.now - began).total_seconds() > 4 + world.plan.start_grace
    assert in_order(world).image_id == NEW


def test_a_new_container_that_is_stopped_again_and_again_is_rolled_back(world: World, old: Instance) -> None:
    def stop() -> None:
        facts = world.engine.inspect(old.container_name)
        if facts and facts.image_id == NEW:
            world.engine.stop(old.container_name, 0)
        world.clock.at(0.1, stop)

    world.clock.at(0, stop)
    assert update(world).status == "rolled_back"
    back_in_place(world, old)


def test_an_image_that_ends_and_is_revived_between_two_looks_is_rolled_back(
    world: World, old: Instance
) -> None:
    world.clock.at(4, lambda: world.engine.change(old.container_name, restart_count=1))
    done = update(world)
    assert (done.status, steps(done)["watch"]) == ("rolled_back", "failed")
    assert "had to be started again" in done.error
    back_in_place(world, old)


def test_an_image_that_needed_a_second_start_before_it_was_healthy_is_taken(
    world: World, old: Instance
) -> None:
    refused = iter([fails("refused"), fails("refused")])

    def told() -> object:
        world.engine.change(old.container_name, restart_count=1)
        return next(refused, passes())

    answers_by_image(world, old.port, answer=told)  # type: ignore[arg-type]
    assert update(world).status == "succeeded"


def test_a_failed_image_is_tried_again_only_where_it_is_named_and_is_then_forgiven(
    world: World, old: Instance
) -> None:
    answers_by_image(world, old.port)
    update(world)
    world.engine.stops.clear()
    again = update(world)
    assert (again.status, world.engine.stops) == ("failed", {})
    assert "failed for c1 before" in again.error
    assert again.image_after == OLD
    back_in_place(world, old)
    del world.probe.answers[old.port or 0]
    assert update(world, image=IMAGE).status == "succeeded"
    instance = in_order(world)
    assert (instance.image_id, instance.failed_images) == (NEW, [])


def test_a_registry_that_comes_back_in_time_is_waited_for(world: World, old: Instance) -> None:
    world.engine.registry_down = True
    world.clock.at(5, lambda: setattr(world.engine, "registry_down", False))
    done = update(world)
    [failed] = [step for step in done.steps if step["status"] == "failed"]
    assert (done.status, failed["failures"], done.tries) == ("succeeded", 2, 0)


def test_a_registry_that_stays_away_leaves_the_container_and_blames_no_image(
    world: World, old: Instance
) -> None:
    world.engine.registry_down = True
    done = update(world)
    assert (done.status, done.facts["host_trouble"], world.engine.stops) == ("failed", True, {})
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_an_engine_that_goes_away_in_the_middle_is_waited_for(world: World, old: Instance) -> None:
    for _ in range(2):
        world.engine.fail_next("rename", EngineUnreachable("It restarts."))
    done = update(world)
    assert (done.status, in_order(world).image_id) == ("succeeded", NEW)


def test_an_engine_that_stays_away_gets_the_old_container_back_when_it_returns(
    world: World, old: Instance
) -> None:
    for _ in range(4):
        world.engine.fail_next("stop", EngineUnreachable("It is gone."))
    world.engine.fail_next("start", EngineUnreachable("It is still gone."))
    done = update(world)
    assert (done.status, done.facts["host_trouble"]) == ("rolled_back", True)
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_a_way_back_that_is_refused_is_tried_until_it_works(world: World, old: Instance) -> None:
    for _ in range(5):
        world.engine.fail_next("start", PermanentError("Not now."))
    done = update(world)
    assert done.status == "rolled_back"
    back_in_place(world, old)


def test_a_start_the_engine_refuses_speaks_against_the_image(world: World, old: Instance) -> None:
    world.engine.fail_next("start", PermanentError("There is no such program in it."))
    assert update(world).status == "rolled_back"
    back_in_place(world, old)
    assert in_order(world).failed_images == [NEW]


def test_what_others_did_to_the_host_does_not_speak_against_the_image(world: World, old: Instance) -> None:
    world.engine.fail_next("start", PortTaken("It is taken."))
    assert update(world).status == "rolled_back"
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_a_start_for_which_something_else_is_gone_is_tried_once_and_told_as_that(
    world: World, old: Instance
) -> None:
    started, start = [], world.engine.start

    def misses_a_partner(container: str) -> None:
        started.append(container)
        if container != old.container_id:
            raise NotFoundOnEngine("There is no container vpn.")
        start(container)

    world.engine.start = misses_a_partner  # type: ignore[method-assign]
    done = update(world)
    assert (done.status, done.error, len(started)) == ("rolled_back", "There is no container vpn.", 2)
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_a_defect_of_ours_rolls_back_too(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("instances.operations.steps.replace.watch", broken)
    done = update(world)
    assert (done.status, "dockmgr itself" in done.error) == ("rolled_back", True)
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_an_old_container_that_was_ill_before_is_put_back_and_said_to_be_ill(world: World) -> None:
    publish(world)
    old = world.instance(status="unhealthy", failures=3, down_since=world.now)
    assert old.port
    world.probe.answers[old.port] = fails()
    done = update(world)
    assert (done.status, in_order(world).container_id) == ("rolled_back", old.container_id)
    assert "did not become healthy" in done.facts["old_is_ill"]
    assert health_of(old).status == "unhealthy"


@pytest.mark.parametrize(
    ("url", "status"), [("unix:///fake/one.sock", "failed"), ("ssh://ops@192.0.2.7", "succeeded")]
)
def test_a_full_disk_is_noticed_before_a_pull_where_it_is_the_hosts(
    world: World, monkeypatch: pytest.MonkeyPatch, url: str, status: str
) -> None:
    world.host.docker_url = url
    world.host.save()
    world.instance()
    publish(world)
    monkeypatch.setattr("instances.operations.steps.pull.LEAST_FREE_BYTES", 1 << 62)
    facts = world.engine.facts()
    monkeypatch.setattr(world.engine, "facts", lambda: replace(facts, root="/"))
    done = update(world)
    assert (done.status, bool(world.engine.pulls)) == (status, status == "succeeded")
    assert ("disk left" in done.error) == (status == "failed")
    assert in_order(world).image_id == (OLD if status == "failed" else NEW)


@pytest.mark.parametrize("seconds", [0.1, 3])
def test_an_image_whose_container_others_removed_is_not_blamed(world: World, seconds: float) -> None:
    """In the gate, and while it is watched afterwards; so it is tried again unasked."""
    old = world.instance()
    publish(world)
    world.clock.at(seconds, lambda: world.engine.lose(old.container_name))
    assert update(world).status == "rolled_back"
    assert in_order(world).failed_images == []
