"""A container that its engine could not remove is dead: it never starts again, and has its name for ever."""

from __future__ import annotations

import pytest

from instances.checks.check_requests import request_as_listed
from instances.checks.observe import observe
from instances.checks.record import record
from instances.containers.spec import dead_name, previous_name
from instances.fleet.cleanup import remove_expired
from instances.health.state import Status
from instances.models import Instance, PendingPurge
from tests.factories import World, health_of
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, adopted
from tests.fast.updates import NEW, OLD, answers_by_image, publish, update

pytestmark = pytest.mark.django_db


def what_is_left_of(world: World, container_id: str, name: str) -> str:
    """The name of a dead container, after seeing that it has the one that was given to it."""
    facts = world.engine.inspect(container_id)
    assert facts
    assert (facts.name, facts.state) == (dead_name(name, container_id), "dead")
    return facts.name


def dead(world: World, instance: Instance) -> Instance:
    """Somebody tried to remove its container, and the engine could not."""
    world.engine.undying.add(instance.container_id)
    world.engine.change(instance.container_id, state="dead", exit_code=137)
    return instance


def test_a_customer_whose_container_is_dead_gets_another_one_on_the_same_data(world: World) -> None:
    before = dead(world, world.instance())
    request = request_as_listed(before, world.outside.engines)
    [seen], _ = record([observe(request, world.outside, 5.0)], world.now)
    assert seen.verdict and seen.verdict.restart
    assert remove_expired(world.outside.engines, world.now) == {"local": []}, "it is the customer's own"
    assert world.restart().status == "succeeded"
    after = Instance.objects.get()
    facts = world.engine.inspect(after.container_name)
    assert facts
    assert (facts.id, facts.state, facts.volumes) == (after.container_id, "running", before.held_volumes)
    left = what_is_left_of(world, before.container_id, before.container_name)
    assert health_of(after).status == Status.HEALTHY
    assert remove_expired(world.outside.engines, world.now) == {"local": []}
    world.engine.undying.clear()
    assert remove_expired(world.outside.engines, world.now) == {"local": [left]}


def test_an_adopted_one_is_made_anew_too(world: World, run: Run) -> None:
    before = dead(world, adopted(world, run))
    assert world.restart().status == "succeeded"
    facts = world.engine.inspect(NAME)
    assert facts
    assert facts.state == "running"
    what_is_left_of(world, before.container_id, NAME)


def test_an_update_ends_although_the_old_container_can_not_be_removed(world: World) -> None:
    before = world.instance()
    publish(world)
    world.engine.undying.add(before.container_id)
    done = update(world)
    assert (done.status, done.image_after) == ("succeeded", NEW)
    left = what_is_left_of(world, before.container_id, previous_name(before.container_name))
    [removed] = [step["detail"] for step in done.steps if step["name"] == "remove old"]
    assert removed == (
        f"its engine can't remove all of it: what is left is called {left}, and is tried again daily"
    )
    publish(world, "agent-3")
    again = update(world)
    assert (again.status, "also mounts its data" in str(again.steps)) == ("succeeded", False)


def test_a_way_back_whose_container_somebody_failed_to_remove_makes_it_anew(world: World) -> None:
    before = world.instance()
    publish(world)
    answers_by_image(world, before.port, NEW)
    world.clock.at(20, lambda: dead(world, before))
    done = update(world)
    assert done.status == "rolled_back", done.error
    after = Instance.objects.get()
    facts = world.engine.inspect(after.container_name)
    assert facts
    assert (facts.id, facts.image_id, facts.state) == (after.container_id, OLD, "running")


def test_a_customer_leaves_although_the_container_can_not_be_removed(world: World) -> None:
    before = world.instance()
    world.engine.undying.add(before.container_id)
    assert world.decommission("c1", purge_data=True).status == "succeeded"
    left = what_is_left_of(world, before.container_id, before.container_name)
    assert [row.holders for row in PendingPurge.objects.all()] == [left]
    world.instance("c1")


def test_a_container_that_got_the_name_of_a_dead_one_meanwhile_is_not_removed_in_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dead(world, world.instance())
    listed, name = world.engine.list_containers(), before.container_name
    world.engine.undying.clear()
    world.engine.lose(before.container_id)
    assert world.restart().status == "succeeded"
    monkeypatch.setattr(world.engine, "list_containers", lambda: listed)
    assert remove_expired(world.outside.engines, world.now) == {"local": [name]}, "it is gone"
    facts = world.engine.inspect(name)
    assert facts
    assert facts.id == Instance.objects.get().container_id


def test_a_dead_container_of_somebody_else_keeps_its_name(world: World) -> None:
    world.instance("new")
    Instance.objects.all().delete()
    world.engine.change("dockmgr-new", state="dead")
    assert "is in the way" in world.provision(former_data="keep").error
    assert world.engine.containers == ["dockmgr-new"]
