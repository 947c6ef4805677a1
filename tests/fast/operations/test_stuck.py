"""A container whose engine was killed while it started it can mostly never be started again."""

from __future__ import annotations

import pytest

from instances.containers.facts import ContainerFacts
from instances.errors import TaskLeftBehind, TransientError
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


def test_one_that_others_made_is_kept_with_the_files_in_it(world: World, run: Run) -> None:
    before = stuck(world, adopted(world, run))
    done = world.restart()
    assert (done.status, "so files may be in it alone" in done.error) == ("failed", True)
    assert world.engine.inspect(before.container_id)
    world.engine.stuck.clear()
    publish(world)
    assert update(world).status == "succeeded"
    assert Instance.objects.get().adopted is not None
    ours = stuck(world, Instance.objects.get())
    assert world.restart().status == "succeeded"
    served_anew(world, ours)


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


def test_one_that_starts_after_all_is_kept(world: World) -> None:
    before, busy = stuck(world, world.instance()), TransientError("The engine is busy.")
    world.clock.at(1, lambda: world.engine.fail_next("volume_labels", busy))
    world.clock.at(3, world.engine.stuck.clear)
    done = world.restart()
    assert (done.status, "made anew" in done.steps[-2]["detail"]) == ("succeeded", False)
    assert Instance.objects.get().container_id == before.container_id


def test_one_that_somebody_got_to_run_meanwhile_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, look = stuck(world, world.instance()), world.engine.volume_labels

    def meanwhile(name: str) -> dict[str, str] | None:
        world.engine.stuck.clear()
        world.engine.start(before.container_id)
        return look(name)

    world.clock.at(1, lambda: monkeypatch.setattr(world.engine, "volume_labels", meanwhile))
    assert world.restart().status == "failed"
    facts = world.engine.inspect(before.container_id)
    assert facts and facts.state == "running"


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
