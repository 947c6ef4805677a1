"""Whenever the process of an update is killed, the next one ends it: on the new image, or as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.containers.spec import previous_name
from instances.models import Instance, Operation, Plan, Port
from instances.operations import service
from instances.operations.journal import Journal
from tests.exhaustive.share import HOSTILE, ONE_OF, in_transactions_of_its_own
from tests.factories import IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import Killed
from tests.fast.updates import NEW, OLD, answers_by_image, begin, in_order, publish, start_first

pytestmark = in_transactions_of_its_own
MOST_MOMENTS = 400


@pytest.fixture(autouse=True)
def mortal(world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Processes can be killed around every write to the journal, too; a gate is passed in few looks."""
    world.engine.speaks = HOSTILE
    fate = world.outside.fate
    write = Journal.write
    monkeypatch.setattr(Journal, "write", lambda self, **values: fate.around(write)(self, **values))
    settings.PROBE_TIMEOUT = 0.5
    Plan.objects.update(start_grace=0)
    world.plan.refresh_from_db()
    publish(world)


def killed_at_every_moment(
    world: World, prepare: Callable[[Any], object] = lambda _: None, every: int = 1
) -> Iterator[tuple[Instance, Operation]]:
    """Instances as they were before, with their update: each was killed a moment later, then recovered.

    Even moments are right before a call to the engine or a write to the journal, odd ones right after.
    """
    for moment in range(0, MOST_MOMENTS, every * ONE_OF):
        world.engine.images[IMAGE] = image_facts("agent-1")
        old = world.instance(f"c{moment}")
        prepare(old)
        operation = begin(world, old.customer_id)
        world.outside.fate.strikes_at(moment)
        try:
            service.run_to_end(operation.pk, world.outside)
        except Killed:
            world.clock.advance(31)
            service.recover(world.outside)
        else:
            world.outside.fate.spares()
            assert moment > 20, "it was hardly ever killed"
            return
        operation.refresh_from_db()
        assert operation.finished_at, f"killed at moment {moment}: not recovered"
        yield old, operation
    raise AssertionError("it never came to its end")


def one_healthy_container(world: World, old: Instance) -> Instance:
    instance = in_order(world, old.customer_id)
    assert health_of(instance).status == "healthy"
    return instance


def test_an_update_killed_at_any_moment_ends_on_the_new_image(world: World) -> None:
    for old, operation in killed_at_every_moment(world, every=3):
        instance = one_healthy_container(world, old)
        assert (operation.status, operation.image_after, instance.image_id) == ("succeeded", NEW, NEW)
        assert (instance.port, world.engine.stops[previous_name(old.container_name)]) == (old.port, 1)


def test_a_failing_update_killed_at_any_moment_ends_on_the_very_old_container(world: World) -> None:
    for old, operation in killed_at_every_moment(world, lambda old: answers_by_image(world, old.port), 5):
        instance = one_healthy_container(world, old)
        assert (operation.status, operation.image_after) == ("rolled_back", OLD)
        assert (instance.container_id, instance.failed_images) == (old.container_id, [NEW])


def test_an_unneeded_update_killed_at_any_moment_touches_nothing(world: World) -> None:
    publish(world, "agent-1")
    for old, operation in killed_at_every_moment(world):
        assert (operation.status, operation.facts["unchanged"]) == ("succeeded", True)
        assert one_healthy_container(world, old).container_id == old.container_id
        assert (world.engine.starts, world.engine.stops) == ({}, {})


def test_an_update_refused_before_its_first_change_touches_nothing_whenever_it_is_killed(
    world: World,
) -> None:
    publish(world, volumes=("/var/lib/db",))
    for old, operation in killed_at_every_moment(world):
        assert (operation.status, operation.image_after) == ("failed", OLD)
        instance = one_healthy_container(world, old)
        assert (instance.container_id, instance.failed_images) == (old.container_id, [])
        assert (world.engine.starts, world.engine.stops) == ({}, {})


def test_a_start_first_update_killed_at_any_moment_ends_on_the_new_image(world: World) -> None:
    start_first(world)
    for old, operation in killed_at_every_moment(world, every=3):
        instance = one_healthy_container(world, old)
        assert (operation.status, instance.image_id) == ("succeeded", NEW)
        assert instance.port != old.port


def test_a_failing_start_first_update_never_stops_the_old_container_whenever_it_is_killed(
    world: World,
) -> None:
    start_first(world)
    for old, operation in killed_at_every_moment(world, lambda old: answers_by_image(world, old.port + 1), 5):
        instance = one_healthy_container(world, old)
        assert (operation.status, operation.image_after) == ("rolled_back", OLD)
        assert (instance.container_id, instance.failed_images) == (old.container_id, [NEW])
        assert (instance.port, world.engine.stops[old.container_name]) == (old.port, 0)


def test_a_start_first_update_that_moves_its_port_is_seen_through_whenever_it_is_killed(world: World) -> None:
    start_first(world)

    def prepare(old: Instance) -> None:
        world.engine.taken_ports.add((world.host.bind_address, (old.port or 0) + 1))

    for old, operation in killed_at_every_moment(world, prepare, 5):
        instance = one_healthy_container(world, old)
        assert (operation.status, instance.image_id) == ("succeeded", NEW), operation.error


@pytest.mark.parametrize("image", ["agent-2", "bad"])
def test_a_port_more_that_others_hold_is_moved_whenever_it_is_killed(world: World, image: str) -> None:
    publish(world, image)
    world.engine.images["still there"] = image_facts("agent-1")

    def prepare(old: Instance) -> None:
        Plan.objects.update(options={"ports": ["22/tcp"]})
        world.engine.taken_ports.add((world.host.bind_address, (old.port or 0) + 1))
        answers_by_image(world, old.port, bad=image_facts("bad").id)

    for old, operation in killed_at_every_moment(world, prepare, 5):
        Plan.objects.update(options={})
        assert operation.status == ("succeeded" if image == "agent-2" else "rolled_back"), operation.error
        instance = Instance.objects.get(pk=old.pk)
        held = {port.number for port in Port.objects.filter(instance=instance)}
        assert held == {instance.port, *instance.further_ports.values()}
        assert (old.port or 0) + 1 not in held or image == "bad"
        names = [name for name in world.engine.containers if old.container_name in name]
        assert names == [old.container_name]
        assert (instance.container_id == old.container_id) == (image == "bad")


def test_an_update_killed_again_and_again_ends_on_the_new_image(world: World) -> None:
    operation = begin(world, world.instance().customer_id)
    for moment in (3, 3, 4, 6, 6, 6, 8, 8):
        world.outside.fate.strikes_at(moment)
        with pytest.raises(Killed):
            service.recover(world.outside) or service.run_to_end(operation.pk, world.outside)
        world.clock.advance(31)
    world.outside.fate.spares()
    [done] = service.recover(world.outside)
    assert (done.status, in_order(world).image_id) == ("succeeded", NEW)
