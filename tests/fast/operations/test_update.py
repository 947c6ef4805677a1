"""Stop-first updates: what they change, what they refuse, and who else has to wait meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from instances import documents
from instances.containers.spec import ContainerSpec, container_name, next_name, previous_name
from instances.documents import told_in_full
from instances.errors import (
    BusyError,
    PermanentError,
    RequestError,
)
from instances.fleet.sweep import sweep_here
from instances.models import Instance, Operation, Plan
from instances.operations import service
from instances.operations.attempts import TryAgain
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fast.updates import (
    NEW,
    NEWEST,
    OLD,
    answers_by_image,
    back_in_place,
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


def test_an_update_ends_on_the_new_image_with_the_same_port_and_volume(world: World, old: Instance) -> None:
    done = update(world)
    instance = in_order(world)
    assert (done.status, done.image_before, done.image_after) == ("succeeded", OLD, NEW)
    assert (instance.image_id, instance.port, instance.image) == (NEW, old.port, "")
    assert instance.image_digest == "registry.example.com/agent@sha256:agent-2"
    assert instance.container_id != old.container_id
    assert documents.operation(done)["changed"] is True
    assert health_of(instance).status == "healthy"
    assert world.engine.starts == {old.container_name: 1}
    assert world.engine.stops == {previous_name(old.container_name): 1}


def test_customers_whose_names_sound_derived_are_no_hindrance(world: World, old: Instance) -> None:
    others = [world.instance(f"c1-{end}") for end in ("next", "previous")]
    assert update(world).status == "succeeded"
    assert Instance.objects.get(pk=old.pk).image_id == NEW
    assert {name for name in world.engine.containers if name.startswith(old.container_name)} == {
        container_name(name) for name in ("c1", "c1-next", "c1-previous")
    }
    for other in others:
        facts = world.engine.inspect(other.container_name)
        assert facts and (facts.id, facts.state) == (other.container_id, "running")


def test_the_steps_can_be_read_in_order(world: World, old: Instance) -> None:
    done = update(world)
    assert list(steps(done)) == [
        "note old", "pull", "verify image", "create next", "set old aside", "name next", "stop old",
        "start next", "wait until healthy", "watch", "write down", "remove old",
        "see running",
    ]  # fmt: skip
    assert done.steps[-1]["detail"] == "it runs"


def test_what_is_carried_to_the_end_of_a_step_waits_there_for_whoever_goes_on(
    world: World, old: Instance
) -> None:
    operation = begin(world)
    for _ in range(2):
        with pytest.raises(TryAgain):
            service.run_once(operation.pk, world.outside, until="pull")
        operation.refresh_from_db()
        assert (steps(operation), operation.lease_owner) == ({"note old": "done", "pull": "done"}, "")
    assert service.run_to_end(operation.pk, world.outside).status == "succeeded"


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
    Plan.objects.update(image="agent:1")
    world.engine.images["agent:1"] = image_facts("agent-2", digests=())
    assert update(world).status == "succeeded"
    assert in_order(world).image_id == NEW
    assert world.engine.pulls == []


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [("agent-1", {"command": ["other"]}, "succeeded"), ("agent-1", {}, "failed")],
)
def test_what_was_brought_to_a_host_without_a_registry_is_run_where_it_is_new(
    world: World, name: str, options: dict[str, Any], status: str
) -> None:
    before = world.instance()
    Plan.objects.update(image="agent:1", options=options)
    world.engine.images["agent:1"] = image_facts(name)
    world.engine.registry_down = True
    assert update(world).status == status
    instance = in_order(world)
    assert instance.image_id == image_facts(name).id
    assert (instance.container_id != before.container_id) is (status == "succeeded")


def test_a_named_image_is_what_runs_from_now_on(world: World, old: Instance) -> None:
    publish(world, "agent-3", OTHER)
    assert update(world, image=OTHER).status == "succeeded"
    instance = in_order(world)
    assert (instance.image_id, instance.image_ref) == (NEWEST, OTHER)
    assert documents.operation(update(world))["changed"] is False


def test_an_id_names_an_image_of_the_host_and_is_asked_of_no_registry(world: World, old: Instance) -> None:
    world.engine.images["kept:1"] = image_facts("agent-3")
    assert (update(world, image=NEWEST).image_after, in_order(world).image_id) == (NEWEST, NEWEST)
    unknown = f"sha256:{'0' * 64}"
    done = update(world, image=unknown)
    assert (done.status, world.engine.pulls) == ("failed", [])
    assert done.error.startswith(f"Host local has no image {unknown[:19]}, and no registry is asked")


def test_a_named_image_that_runs_already_is_followed_from_now_on(world: World) -> None:
    publish(world, "agent-1", OTHER)
    old = world.instance()
    done = update(world, image=OTHER)
    assert (done.status, documents.operation(done)["changed"], world.engine.stops) == ("succeeded", False, {})
    assert (in_order(world).container_id, in_order(world).image_ref) == (old.container_id, OTHER)
    publish(world, "agent-3", OTHER)
    assert update(world).image_after == NEWEST


def test_an_image_that_does_not_fit_is_refused_before_anything_stops(world: World) -> None:
    publish(world, volumes=("/data", "/var/lib/db"), architecture="arm64")
    old = world.instance()
    done = update(world)
    assert (done.status, steps(done)["verify image"], done.image_after) == ("failed", "failed", OLD)
    assert "a volume at /var/lib/db" in done.error and "built for arm64" in done.error
    assert (world.engine.stops, in_order(world).failed_images) == ({}, [])
    back_in_place(world, old)


def test_a_missing_tag_fails_without_touching_the_container(world: World) -> None:
    old = world.instance()
    done = update(world, image=OTHER)
    assert (done.status, steps(done)["pull"], world.engine.stops) == ("failed", "failed", {})
    assert "no image" in told_in_full(done)
    back_in_place(world, old)


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
    name = next_name(old.container_name)
    world.engine.create(ContainerSpec(name=name, image=IMAGE, labels={}, env={}))
    done = update(world)
    assert (done.status, "is in the way" in done.error) == ("failed", True)
    assert name in world.engine.containers
    facts = world.engine.inspect(old.container_name)
    assert facts
    assert (facts.id, facts.state) == (old.container_id, "running")


def test_another_change_at_the_same_time_is_refused_with_a_sentence(world: World, old: Instance) -> None:
    begin(world)
    with pytest.raises(BusyError, match="c1 is being changed: update asked for by tests since"):
        begin(world)
    for ask in (service.begin_restart, service.begin_decommission):
        with pytest.raises(BusyError, match="c1 is being changed: update asked for by tests since"):
            ask("c1", ASKED, outside=world.outside)


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


def test_a_malformed_image_is_refused_before_anything(world: World, old: Instance) -> None:
    with pytest.raises(RequestError):
        begin(world, image="no spaces please")
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


@pytest.mark.parametrize(
    ("happens", "detail"),
    [
        ({"state": "exited", "restart_policy": "no"}, "it is exited: health checks go on from here"),
        ({"state": "exited", "restart_policy": "always"}, "started once more"),
        (None, "its container is gone: health checks go on from here"),
    ],
)
def test_how_the_new_container_is_at_the_end_is_told_as_it_is(
    world: World, old: Instance, monkeypatch: pytest.MonkeyPatch, happens: dict[str, Any] | None, detail: str
) -> None:
    remove, name = world.engine.remove, old.container_name

    def and_then(container: str, **options: Any) -> None:
        remove(container, **options)
        world.engine.lose(name) if happens is None else world.engine.change(name, **happens)

    monkeypatch.setattr(world.engine, "remove", and_then)
    done = update(world)
    assert (done.status, done.steps[-1]["detail"]) == ("succeeded", detail)


def test_a_new_container_that_was_removed_before_it_ever_ran_is_made_again(world: World) -> None:
    old = world.instance()
    publish(world)
    stop = world.engine.stop

    def stop_while_others_prune(container: str, timeout: int) -> None:
        stop(container, timeout)
        for name in world.engine.containers:
            facts = world.engine.inspect(name)
            if facts and facts.state == "created":
                world.engine.lose(name)

    world.engine.stop = stop_while_others_prune  # type: ignore[method-assign]
    done = update(world)
    assert (done.status, done.error) == ("succeeded", "")
    assert in_order(world).image_id == NEW
    assert world.engine.inspect(old.container_id) is None


def test_one_whose_image_is_gone_as_well_is_not_waited_for_while_the_customer_is_down(world: World) -> None:
    world.instance()
    publish(world)
    stop = world.engine.stop

    def stop_while_others_prune(container: str, timeout: int) -> None:
        stop(container, timeout)
        world.engine.lose(container_name("c1"))
        world.engine.images = {ref: held for ref, held in world.engine.images.items() if held.id != NEW}
        world.engine.stop = stop  # type: ignore[method-assign]

    world.engine.images["agent:before"] = world.engine.images[IMAGE]
    world.engine.stop = stop_while_others_prune  # type: ignore[method-assign]
    done = update(world)
    assert (done.status, world.engine.pulls) == ("rolled_back", [IMAGE])
    assert in_order(world).failed_images == []
