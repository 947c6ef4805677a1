"""A container whose engine was killed while it started it can mostly never be started again."""

from __future__ import annotations

import pytest

from instances.containers.facts import ContainerFacts
from instances.errors import TaskLeftBehind
from instances.models import Instance
from tests.factories import IMAGE, World, health_of
from tests.fast.conftest import Run
from tests.fast.strangers import adopted
from tests.fast.updates import NEW, OLD, answers_by_image, in_order, publish, update

pytestmark = pytest.mark.django_db


def stuck(world: World, instance: Instance) -> Instance:
    """Its container has ended, and has a task left that is none."""
    world.engine.change(instance.container_id, state="exited", exit_code=137)
    world.engine.stuck.add(instance.container_id)
    return instance


def served_anew(world: World, before: Instance) -> ContainerFacts:
    """The customer's only container, which is another one on the same image and data."""
    after = Instance.objects.get()
    facts = world.engine.inspect(after.container_name)
    assert facts and world.engine.containers == [after.container_name]
    assert facts.id == after.container_id != before.container_id
    assert (facts.state, after.image_id, health_of(after).status) == ("running", before.image_id, "healthy")
    return facts


def test_a_restart_makes_it_anew_on_the_same_data(world: World) -> None:
    before = stuck(world, world.instance())
    done = world.restart()
    assert (done.status, "made anew" in done.steps[2]["detail"]) == ("succeeded", True)
    assert served_anew(world, before).volumes == before.held_volumes


def test_an_adopted_one_is_made_anew_too(world: World, run: Run) -> None:
    before = stuck(world, adopted(world, run))
    assert world.restart().status == "succeeded"
    served_anew(world, before)


def test_it_is_kept_where_its_data_is_gone(world: World) -> None:
    before = stuck(world, world.instance())
    del world.engine.volumes[before.volume_name]
    done = world.restart()
    assert (done.status, health_of(before).reason) == ("failed", "data_missing")
    assert world.engine.inspect(before.container_id)
    assert world.engine.volumes == {}


def test_one_that_is_started_a_moment_later_is_kept(world: World) -> None:
    before = stuck(world, world.instance())
    world.clock.at(1, world.engine.stuck.clear)
    assert world.restart().status == "succeeded"
    assert Instance.objects.get().container_id == before.container_id


def test_a_way_back_makes_it_anew(world: World) -> None:
    before = world.instance()
    world.engine.images["agent:before"] = world.engine.images[IMAGE]
    publish(world)
    answers_by_image(world, before.port)
    world.engine.stuck.add(before.container_id)
    done = update(world)
    assert (done.status, done.image_after) == ("rolled_back", OLD)
    served_anew(world, before)
    assert in_order(world).failed_images == [NEW]


def test_the_new_one_of_an_update_is_made_once_more(world: World) -> None:
    world.instance()
    publish(world)
    for _ in range(2):
        world.engine.fail_next("start", TaskLeftBehind("task 2: already exists."))
    assert update(world).status == "succeeded"
    assert (in_order(world).image_id, world.engine.stops.total()) == (NEW, 1)
