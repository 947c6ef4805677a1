"""An image that would lose data is refused before anything is made; what it exposes is only a word."""

from __future__ import annotations

import pytest

from instances.models import Instance
from instances.operations import provision
from tests.factories import World
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db


def new(world: World) -> tuple[bool, str]:
    result = provision(customer_id="new", subdomain="new.example.com", plan="pro", env={"API_KEY": "x-y-z"})
    return result.success, result.error or ""


def test_an_image_with_a_volume_the_plan_does_not_keep_is_not_provisioned(world: World) -> None:
    reference = next(iter(world.engine.images))
    paths = ("/data", "/cache", "/data/db")
    world.engine.images[reference] = image_facts("agent-1", volumes=paths, architecture="arm64")
    success, error = new(world)
    assert not success
    assert "a volume at /cache, /data/db, which plan pro does not keep" in error
    assert "built for arm64" in error
    assert world.nothing_is_left_of("new")
    assert (world.engine.starts, world.engine.volumes) == ({}, {})


def test_a_program_that_listens_elsewhere_than_its_image_says_is_provisioned_and_valid(world: World) -> None:
    reference = next(iter(world.engine.images))
    world.engine.images[reference] = image_facts("agent-1", exposed_ports=(3000,))
    result = provision(customer_id="new", subdomain="new.example.com", plan="pro", env={"API_KEY": "x-y-z"})
    assert result.success
    assert result.validation
    assert result.validation.valid
    assert "exposed_port" in [warning["code"] for warning in result.validation.warnings]


def test_an_update_to_an_image_that_exposes_another_port_is_proven_by_its_health(world: World) -> None:
    world.instance()
    publish(world, exposed_ports=(3000,))
    done = update(world)
    [verified] = [step for step in done.steps if step["name"] == "verify image"]
    assert done.status == "succeeded"
    assert verified["detail"] == ("fits plan and host. The image exposes port 3000, plan pro publishes 8080")


def test_purging_takes_volumes_without_a_name_along_and_keeping_keeps_them(world: World) -> None:
    reference = next(iter(world.engine.images))
    for purge in (False, True):
        world.engine.images[reference] = image_facts("agent-1")
        world.instance(f"c-{purge}".lower())
    world.engine.images[reference] = image_facts("agent-1", volumes=("/cache",))
    for name in ("c-false", "c-true"):  # as they were made before images were looked at
        instance = Instance.objects.get(customer_id=name)
        world.engine.remove(instance.container_id)
        instance.container_id = world.engine.create(instance.spec())
        instance.save()
    assert len(world.engine.volumes) == 4
    world.decommission("c-false")
    assert len(world.engine.volumes) == 4
    world.decommission("c-true", purge_data=True)
    assert [name.partition("-")[0] for name in sorted(world.engine.volumes)] == ["anonymous", "dockmgr"]


def test_a_container_that_was_made_and_is_taken_back_leaves_no_volume(world: World) -> None:
    made = world.engine.create

    def create_with_a_volume(spec: object) -> str:
        reference = next(iter(world.engine.images))
        world.engine.images[reference] = image_facts("agent-1", volumes=("/cache",))
        return made(spec)  # type: ignore[arg-type]

    world.engine.create = create_with_a_volume  # type: ignore[method-assign]
    world.probe.answers[world.host.first_port] = fails()
    assert not new(world)[0]
    assert world.engine.volumes == {}
