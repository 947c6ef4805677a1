"""A container that ends again and again is between two runs most of the time, and can't be renamed there."""

from __future__ import annotations

import pytest

from instances.models import Instance
from tests.factories import World
from tests.fakes.outside import fails
from tests.fast.updates import NEW, OLD, answers_by_image, in_order, publish, update

pytestmark = pytest.mark.django_db


def loops(world: World, instance: Instance) -> Instance:
    world.engine.change(instance.container_id, state="restarting", restart_count=7)
    return instance


def test_an_update_is_the_way_out_of_it(world: World) -> None:
    loops(world, world.instance())
    publish(world)
    done = update(world)
    assert (done.status, done.error) == ("succeeded", "")
    assert in_order(world).image_id == NEW


def test_the_way_back_to_one_gives_it_its_name_back(world: World) -> None:
    instance, start = loops(world, world.instance()), world.engine.start
    publish(world)
    answers_by_image(world, instance.port, NEW)

    def start_to_loop(container: str) -> None:
        start(container)
        if container == instance.container_id:
            loops(world, instance)

    world.engine.start = start_to_loop  # type: ignore[method-assign]
    world.probe.answers[instance.port or 0] = fails()
    assert update(world).status == "rolled_back"
    facts = world.engine.inspect(instance.container_name)
    assert facts
    assert (facts.id, facts.image_id, world.engine.containers) == (
        instance.container_id,
        OLD,
        [instance.container_name],
    )


def test_a_restart_gives_one_its_name_back(world: World) -> None:
    instance = world.instance()
    world.engine.rename(instance.container_id, "of-somebody-else")
    loops(world, instance)
    assert world.restart().status == "succeeded"
    in_order(world)
