"""Settings of a plan or a customer reach a container when it is updated, image or no image."""

from __future__ import annotations

import pytest

from instances import documents
from instances.models import Instance, Plan
from tests.factories import SECRET, World
from tests.fakes.outside import fails, passes
from tests.fast.updates import OLD, in_order, publish, start_first, update

pytestmark = pytest.mark.django_db


@pytest.fixture
def current(world: World) -> Instance:
    """An instance on the newest image there is."""
    publish(world, "agent-1")
    return world.instance()


def more_memory(world: World) -> int:
    bytes_ = 3 * 1024**3
    Plan.objects.filter(pk=world.plan.pk).update(memory=bytes_)
    return bytes_


@pytest.mark.parametrize("way", ["stop first", "start first"])
def test_changed_limits_are_taken_up_with_the_same_image(world: World, way: str) -> None:
    if way == "start first":
        start_first(world)
    publish(world, "agent-1")
    current = world.instance()
    wanted = more_memory(world)
    done = update(world)
    instance = Instance.objects.get()
    facts = world.engine.inspect(instance.container_id)
    assert facts and (facts.memory, facts.state, facts.image_id) == (wanted, "running", OLD)
    assert (done.status, documents.operation(done)["changed"]) == ("succeeded", True)
    assert instance.container_id != current.container_id
    again = update(world)
    assert documents.operation(again)["changed"] is False
    assert Instance.objects.get().container_id == instance.container_id


def test_a_changed_environment_is_taken_up(world: World, current: Instance) -> None:
    current.env = {"API_KEY": SECRET, "MODE": "new"}
    current.save()
    update(world)
    facts = world.engine.inspect(in_order(world).container_id)
    assert facts and facts.env["MODE"] == "new"


def test_settings_that_do_not_work_are_rolled_back_and_the_image_is_not_blamed(
    world: World, current: Instance
) -> None:
    wanted = more_memory(world)

    def told() -> object:
        facts = world.engine.inspect(current.container_name)
        return fails() if facts and facts.memory == wanted else passes()

    world.probe.answers[current.port or 0] = told  # type: ignore[assignment]
    assert update(world).status == "rolled_back"
    instance = in_order(world)
    assert (instance.container_id, instance.failed_images) == (current.container_id, [])
