"""Stop-first updates: the new container is proven before the old one goes, or the old one comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from instances import documents
from instances.errors import (
    BusyError,
    EngineUnreachable,
    NotFoundOnEngine,
    PermanentError,
    PortTaken,
    RequestError,
)
from instances.models import Instance, Operation
from instances.operations import calls
from instances.operations.sweeping import sweep_here
from instances.spec import ContainerSpec
from tests.factories import ASKED, IMAGE, SECRET, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes, starts
from tests.fast.updates import (
    NEW,
    NEWEST,
    OLD,
    answers_by_image,
    begin,
    in_order,
    publish,
    start_first,
    steps,
    update,
)

pytestmark = pytest.mark.django_db

OTHER = "registry.example.com/other:2.0"


@pytest.fixture
def old(world: World) -> Instance:
    """A healthy instance on the old image; the registry has a new one under the same name."""
    publish(world)
    return world.instance()


def back_in_place(world: World, old: Instance) -> None:
    """The very container from before runs again, and all is as if nothing had been tried."""
    assert in_order(world).container_id == old.container_id
    assert health_of(old).status == "healthy"


def test_an_update_ends_on_the_new_image_with_the_same_port_and_volume(world: World, old: Instance) -> None:
    done = update(world)
    instance = in_order(world)
    assert (done.status, done.image_before, done.image_after) == ("succeeded", OLD, NEW)
    assert (instance.image_id, instance.port, instance.image) == (NEW, old.port, "")
    assert instance.container_id != old.container_id
    assert documents.operation(done)["changed"] is True
    assert health_of(instance).status == "healthy"
    assert world.engine.starts == {old.container_name: 1}
    assert world.engine.stops == {f"{old.container_name}-previous": 1}


def test_the_steps_can_be_read_in_order(world: World, old: Instance) -> None:
    assert list(steps(update(world))) == [
        "note old", "pull", "verify image", "create next", "set old aside", "name next", "stop old",
        "start next", "wait until healthy", "watch", "write down", "remove old",
        "see running",
    ]  # fmt: skip


def test_the_new_container_is_made_before_the_old_one_stops(world: World, old: Instance) -> None:
    world.engine.fail_next("create", PermanentError("The engine does not like it."))
    done = update(world)
    assert (done.status, done.error) == ("failed", "The engine does not like it.")
    assert world.engine.stops == {}
    back_in_place(world, old)


def test_nothing_newer_leaves_the_container_alone(world: World) -> None:
    publish(world, "agent-1")
    before = world.instance()
    facts = world.engine.inspect(before.container_name)
    done = update(world)
    assert (done.status, documents.operation(done)["changed"]) == ("succeeded", False)
    assert world.engine.inspect(before.container_name) == facts
    assert (world.engine.starts, world.engine.stops) == ({}, {})
    assert (done.image_before, done.image_after) == (OLD, OLD)


def test_an_image_that_was_never_pushed_is_not_asked_of_a_registry(world: World) -> None:
    world.instance()
    world.engine.images[IMAGE] = image_facts("agent-2", digests=())
    assert update(world).status == "succeeded"
    assert in_order(world).image_id == NEW
    assert world.engine.pulls == []


def test_a_named_image_is_what_runs_from_now_on(world: World, old: Instance) -> None:
    publish(world, "agent-3", OTHER)
    assert update(world, image=OTHER).status == "succeeded"
    instance = in_order(world)
    assert (instance.image_id, instance.image_ref) == (NEWEST, OTHER)
    assert documents.operation(update(world))["changed"] is False


def test_a_named_image_that_runs_already_is_followed_from_now_on(world: World) -> None:
    publish(world, "agent-1", OTHER)
    old = world.instance()
    done = update(world, image=OTHER)
    assert (done.status, documents.operation(done)["changed"], world.engine.stops) == ("succeeded", False, {})
    assert (in_order(world).container_id, in_order(world).image_ref) == (old.container_id, OTHER)
    publish(world, "agent-3", OTHER)
    assert update(world).image_after == NEWEST


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


def test_an_image_that_says_starting_for_ever_is_rolled_back(world: World, old: Instance) -> None:
    answers_by_image(world, old.port, answer=starts)
    assert update(world).status == "rolled_back"
    back_in_place(world, old)


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


def test_a_failed_image_is_not_tried_again_unasked(world: World, old: Instance) -> None:
    answers_by_image(world, old.port)
    update(world)
    world.engine.stops.clear()
    again = update(world)
    assert (again.status, world.engine.stops) == ("failed", {})
    assert "failed for c1 before" in again.error
    assert again.image_after == OLD
    back_in_place(world, old)


def test_a_failed_image_is_tried_again_when_it_is_named_and_then_forgiven(
    world: World, old: Instance
) -> None:
    answers_by_image(world, old.port)
    update(world)
    del world.probe.answers[old.port or 0]
    assert update(world, image=IMAGE).status == "succeeded"
    instance = in_order(world)
    assert (instance.image_id, instance.failed_images) == (NEW, [])


def test_the_next_image_is_taken_after_a_failed_one(world: World, old: Instance) -> None:
    answers_by_image(world, old.port)
    update(world)
    publish(world, "agent-3")
    assert update(world).status == "succeeded"
    assert in_order(world).image_id == NEWEST


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"volumes": ("/data", "/var/lib/db")}, "a volume at /var/lib/db"),
        ({"volumes": ("/data/cache",)}, "a volume at /data/cache"),
        ({"architecture": "arm64"}, "built for arm64"),
        ({"exposed_ports": (3000,)}, "exposes port 3000"),
    ],
)
def test_an_image_that_does_not_fit_is_refused_before_anything_stops(
    world: World, wrong: dict[str, Any], why: str
) -> None:
    publish(world, **wrong)
    old = world.instance()
    done = update(world)
    assert (done.status, steps(done)["verify image"], done.image_after) == ("failed", "failed", OLD)
    assert why in done.error
    assert (world.engine.stops, in_order(world).failed_images) == ({}, [])
    back_in_place(world, old)


def test_a_missing_tag_fails_without_touching_the_container(world: World) -> None:
    old = world.instance()
    done = update(world, image=OTHER)
    assert (done.status, steps(done)["pull"], world.engine.stops) == ("failed", "failed", {})
    assert "no image" in done.error
    back_in_place(world, old)


def test_a_registry_that_comes_back_in_time_is_waited_for(world: World, old: Instance) -> None:
    world.engine.registry_down = True
    world.clock.at(5, lambda: setattr(world.engine, "registry_down", False))
    done = update(world)
    assert (done.status, done.tries) == ("succeeded", 2)


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


@pytest.mark.parametrize("error", [PortTaken("It is taken."), NotFoundOnEngine("It was removed.")])
def test_what_others_did_to_the_host_does_not_speak_against_the_image(
    world: World, old: Instance, error: PermanentError
) -> None:
    world.engine.fail_next("start", error)
    assert update(world).status == "rolled_back"
    back_in_place(world, old)
    assert in_order(world).failed_images == []


def test_a_defect_of_ours_rolls_back_too(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("instances.operations.replacing.watch", broken)
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


def test_an_update_heals_an_instance_whose_old_container_had_ended(world: World) -> None:
    publish(world)
    old = world.instance(status="failed", failures=9, restarts_used=3, down_since=world.now)
    world.engine.change(old.container_name, state="exited", exit_code=1)
    assert update(world).status == "succeeded"
    assert (in_order(world).image_id, health_of(old).status, health_of(old).failures) == (NEW, "healthy", 0)


def test_a_lost_container_is_not_updated_but_named(world: World, old: Instance) -> None:
    world.engine.lose(old.container_name)
    done = update(world)
    assert (done.status, done.error) == ("failed", "c1 has no container; restart it first.")


def test_what_is_in_the_way_and_not_ours_is_left(world: World, old: Instance) -> None:
    name = f"{old.container_name}-next"
    world.engine.create(ContainerSpec(name=name, image=IMAGE, labels={}, env={}))
    done = update(world)
    assert (done.status, "is in the way" in done.error) == ("failed", True)
    assert name in world.engine.containers
    facts = world.engine.inspect(old.container_name)
    assert facts
    assert (facts.id, facts.state) == (old.container_id, "running")


def test_a_full_disk_is_noticed_before_a_pull(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.operations.fetching.LEAST_FREE_BYTES", 1 << 62)
    facts = world.engine.facts()
    monkeypatch.setattr(world.engine, "facts", lambda: replace(facts, root="/"))
    done = update(world)
    assert (done.status, world.engine.pulls) == ("failed", [])
    assert "disk left" in done.error
    back_in_place(world, old)


@pytest.mark.parametrize(
    "ask",
    [
        lambda world: begin(world),
        lambda world: calls.begin_restart("c1", ASKED, world.outside),
        lambda world: calls.begin_decommission("c1", ASKED, outside=world.outside),
    ],
)
def test_another_change_at_the_same_time_is_refused_with_a_sentence(
    world: World, old: Instance, ask: Callable[[World], Operation]
) -> None:
    operation = begin(world)
    with pytest.raises(BusyError, match="c1 is being changed: update asked for by tests since"):
        ask(world)
    assert calls.see_through(operation.pk, world.outside).status == "succeeded"


def test_a_sweep_neither_judges_nor_restarts_what_is_being_updated(world: World, old: Instance) -> None:
    answers_by_image(world, old.port)
    seen: list[str] = []

    def sweep() -> None:
        report = sweep_here("tests", world.outside)
        seen.extend(report.document()["restarted"] or ["none"])

    world.clock.at(2, sweep)
    before = health_of(old).failures
    assert update(world).status == "rolled_back"
    assert seen == ["none"]
    assert (health_of(old).failures, Operation.objects.count()) == (before, 1)
    back_in_place(world, old)


def test_asking_twice_with_one_request_id_is_one_update(world: World, old: Instance) -> None:
    asked = calls.Asked("tests", request_id="once")
    first = calls.begin_update("c1", asked, outside=world.outside)
    assert calls.begin_update("c1", asked, outside=world.outside) == first
    calls.see_through(first.pk, world.outside)
    assert calls.begin_update("c1", asked, outside=world.outside).status == "succeeded"


@pytest.mark.parametrize("image", ["", "no spaces please", "UPPER", "-flag"])
def test_a_malformed_image_is_refused_before_anything(world: World, old: Instance, image: str) -> None:
    with pytest.raises(RequestError):
        begin(world, image=image)
    assert not Operation.objects.exists()


def test_a_plan_that_keeps_data_never_runs_two_containers_at_once(world: World, old: Instance) -> None:
    start_first(world)
    old.plan.data_path = "/data"
    old.plan.save()
    assert update(world).params["strategy"] == "recreate"


def test_a_paused_instance_stays_paused(world: World) -> None:
    publish(world)
    old = world.instance(status="paused")
    assert update(world).status == "succeeded"
    assert (in_order(world).image_id, health_of(old).status) == (NEW, "paused")
