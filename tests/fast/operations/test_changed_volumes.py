"""Volumes of a plan that was changed meanwhile: new ones are made, what it dropped is never lost silently."""

from __future__ import annotations

import pytest

from instances.errors import TransientError
from instances.models import Instance, Operation, Plan
from instances.monitoring.orphans import orphans_on_all
from instances.operations import service
from tests.factories import ASKED, World, health_of
from tests.fast.updates import answers_by_image, publish, update
from tests.rows import row

pytestmark = pytest.mark.django_db
DATA, CACHE = "dockmgr-c1-data", "dockmgr-c1-cache"
MORE = {"volumes": {"cache": "/cache"}}
DROPPED = "which plan pro does not mount there any more: set its data_path back."


@pytest.fixture
def instance(world: World) -> Instance:
    """One of which is written down where its data is."""
    made = world.instance()
    made.volumes = {DATA: "/data"}
    made.save()
    return made


def test_a_volume_it_never_had_is_not_missing_and_is_made_with_the_container(
    world: World, instance: Instance
) -> None:
    Plan.objects.update(options=MORE)
    world.engine.lose(instance.container_name)
    assert world.restart().status == "succeeded"
    assert (world.engine.volumes[CACHE]["dockmgr.customer_id"], health_of(instance).status) == (
        "c1",
        "healthy",
    )
    instance.refresh_from_db()
    assert instance.volumes == {DATA: "/data", CACHE: "/cache"}
    assert orphans_on_all([world.host], world.outside)["orphans"] == []


def test_once_it_had_it_that_is_data_which_can_be_missing(world: World, instance: Instance) -> None:
    Plan.objects.update(options=MORE)
    world.engine.lose(instance.container_name)
    assert world.restart().status == "succeeded"
    world.engine.lose(instance.container_name)
    del world.engine.volumes[CACHE]
    assert f"host local has no volume {CACHE}" in world.restart().error
    assert health_of(instance).reason == "data_missing"


def test_what_lies_under_the_name_of_a_new_volume_is_not_taken(world: World, instance: Instance) -> None:
    Plan.objects.update(options=MORE)
    world.engine.lose(instance.container_name)
    world.engine.volumes[CACHE] = {"com.docker.compose.project": "shop"}
    told = f"A volume named {CACHE} is on host local already, that of the compose project shop"
    assert told in world.restart().error
    assert world.engine.containers == []


def test_a_way_back_makes_no_container_without_data_that_its_plan_has_dropped(
    world: World, instance: Instance
) -> None:
    def is_lost() -> None:
        Plan.objects.update(data_path=None)
        for name in world.engine.containers:
            world.engine.lose(name)
        world.engine.fail_next("image", TransientError("?"))  # so the plan is read again

    publish(world)
    answers_by_image(world, instance.port)
    world.engine.images["agent:before"] = world.engine.images[instance.image_ref]
    world.clock.at(1, is_lost)
    undone = next(step for step in update(world).steps if step["name"] == "undo stop old")
    assert (DROPPED in undone["detail"], undone["refusals"]) == (True, 5)
    assert world.engine.containers == []


@pytest.fixture
def crowded_out(world: World, instance: Instance) -> Instance:
    """A stopped one whose port something else on the host has taken, so it has to be made anew."""
    world.engine.change(instance.container_name, state="exited")
    world.engine.taken_ports.add((world.host.bind_address, instance.port or 0))
    return instance


def test_a_move_to_another_port_makes_the_new_volumes_of_its_plan(
    world: World, crowded_out: Instance
) -> None:
    Plan.objects.update(options=MORE)
    assert world.restart().status == "succeeded"
    facts = world.engine.inspect(crowded_out.container_name)
    assert facts
    assert facts.volumes == {DATA: "/data", CACHE: "/cache"}


@pytest.mark.parametrize("known", [True, False])
def test_a_move_to_another_port_drops_no_data(world: World, crowded_out: Instance, *, known: bool) -> None:
    if not known:
        Instance.objects.update(volumes=None)
    Plan.objects.update(data_path=None)
    done = world.restart()
    assert (done.status, DROPPED in done.error) == ("failed", True)
    _is_as_it_was(world, crowded_out)


def test_nothing_is_removed_that_can_not_be_made_anew(world: World, crowded_out: Instance) -> None:
    volumes, images = dict(world.engine.volumes), dict(world.engine.images)
    for gone in ("data", "image", "hostname", "policy"):
        world.engine.volumes = {} if gone == "data" else volumes
        world.engine.images = {} if gone == "image" else images
        options = {"hostname": "a" * 65} if gone == "hostname" else {}
        Plan.objects.update(options=options, images=["elsewhere"] if gone == "policy" else [])
        with row(gone):
            done = world.restart()
            assert (done.status, done.error.count("is missing")) == ("failed", int(gone == "data"))
            _is_as_it_was(world, crowded_out)


def _is_as_it_was(world: World, instance: Instance) -> None:
    facts = world.engine.inspect(instance.container_name)
    assert facts
    assert (facts.id, facts.volumes) == (instance.container_id, {DATA: "/data"})
    assert Instance.objects.get().port == instance.port


@pytest.fixture
def mistaken(world: World, instance: Instance) -> Instance:
    """One whose plan had a volume for a while, and has it no more."""
    Plan.objects.update(options=MORE)
    world.engine.lose(instance.container_name)
    assert world.restart().status == "succeeded"
    Plan.objects.update(options={})
    instance.refresh_from_db()
    return instance


def restart_with_empty_data(world: World) -> Operation:
    return service.run_to_end(
        service.begin_restart("c1", ASKED, world.outside, with_empty_data=True).pk, world.outside
    )


def test_a_volume_that_a_plan_had_by_mistake_and_that_was_removed_by_hand_is_given_up(
    world: World, mistaken: Instance
) -> None:
    world.engine.lose(mistaken.container_name)
    del world.engine.volumes[CACHE]
    assert "which plan pro does not mount there any more" in world.restart().error
    assert restart_with_empty_data(world).status == "succeeded"
    mistaken.refresh_from_db()
    assert (mistaken.volumes, set(world.engine.volumes)) == ({DATA: "/data"}, {DATA})
    assert health_of(mistaken).status == "healthy"


def test_one_that_is_still_there_is_not(world: World, mistaken: Instance) -> None:
    world.engine.lose(mistaken.container_name)
    del world.engine.volumes[DATA]
    done = restart_with_empty_data(world)
    assert (done.status, f"is in {CACHE} at /cache, which plan pro" in done.error) == ("failed", True)
    assert set(world.engine.volumes) == {CACHE}
