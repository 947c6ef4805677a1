"""Clearing away: throwaway instances past their time, images nobody needs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from instances.containers.spec import ContainerSpec
from instances.errors import EngineUnreachable, PermanentError
from instances.fleet import cleanup
from instances.fleet.cleanup import expired, remove_expired, remove_unused_images, unused_images
from instances.models import Host, Instance, Operation
from instances.operations import service
from tasks import maintenance
from tests.factories import ASKED, IMAGE, World
from tests.fakes.facts import image_facts
from tests.fast.conftest import Message
from tests.fast.updates import NEW, NEWEST, OLD, publish, update

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=8)
LATELY = timedelta(days=6)


def throwaway(world: World, customer_id: str, minutes: float) -> Instance:
    instance = world.instance(customer_id)
    instance.expires_at = world.now + timedelta(minutes=minutes)
    instance.save()
    return instance


def past(world: World, before: str, after: str, ago: timedelta = LONG_AGO, **changes: Any) -> Operation:
    """A finished update of c1 that began `ago`."""
    usual: dict[str, Any] = {
        "kind": "update",
        "customer_id": "c1",
        "host": world.host,
        "status": "succeeded",
        "finished_at": world.now - ago,
    }
    return Operation.objects.create(
        **{**usual, **changes},
        requested_by="tests",
        image_before=before,
        image_after=after,
        created_at=world.now - ago,
        lease_expires_at=world.now,
    )


def test_only_throwaway_instances_past_their_time_are_removed(world: World) -> None:
    over = throwaway(world, "over", -1)
    throwaway(world, "later", 1)
    world.instance("kept")
    [operation] = expired(world.now)
    done = service.run_to_end(operation.pk, world.outside)
    assert (done.customer_id, done.status, done.requested_by) == ("over", "succeeded", "dockmgr")
    assert world.nothing_is_left_of(over.customer_id)
    assert world.engine.containers == ["dockmgr-kept", "dockmgr-later"]
    assert expired(world.now) == []


def test_one_that_is_being_changed_is_left_for_the_next_round(world: World) -> None:
    throwaway(world, "over", -1)
    restart = service.begin_restart("over", ASKED, world.outside)
    assert expired(world.now) == []
    service.run_to_end(restart.pk, world.outside)
    assert len(expired(world.now)) == 1


def left_of_a_test(world: World) -> Instance:
    """What a test deployment made whose row is gone."""
    instance = throwaway(world, "trial", -1)
    spec = instance.spec()
    world.engine.lose(instance.container_name)
    world.engine.volumes[instance.volume_name] = spec.labels
    instance.container_id = world.engine.create(replace(spec, image=IMAGE))
    Instance.objects.filter(pk=instance.pk).delete()
    return instance


def test_what_is_left_of_a_test_without_a_row_goes_and_what_instances_have_stays(world: World) -> None:
    left_of_a_test(world)
    throwaway(world, "over", -1)
    world.instance("c1")
    gone = ["dockmgr-trial", "dockmgr-trial-data"]
    assert remove_expired(world.outside.engines, world.now) == {"local": gone}
    assert world.engine.containers == ["dockmgr-c1", "dockmgr-over"]
    assert set(world.engine.volumes) == {"dockmgr-c1-data", "dockmgr-over-data"}


@pytest.mark.parametrize("is_removed", [False, True])
def test_what_a_customer_took_over_from_a_test_stays_his(world: World, *, is_removed: bool) -> None:
    left, own = left_of_a_test(world), world.instance("c1")
    own.container_id, own.volumes = left.container_id, {left.volume_name: "/data"}
    own.decommissioned_at = world.now if is_removed else None
    own.save()
    assert remove_expired(world.outside.engines, world.now) == {"local": []}


def test_what_can_not_be_removed_is_tried_another_day(world: World) -> None:
    left_of_a_test(world)
    for verb in ("remove", "remove_volume"):
        world.engine.fail_next(verb, PermanentError("No."))
    assert remove_expired(world.outside.engines, world.now) == {"local": []}
    world.engine.unreachable = True
    assert remove_expired(world.outside.engines, world.now) == {}
    world.engine.unreachable = False
    maintenance.tidy_up()
    assert (world.engine.containers, world.engine.volumes) == ([], {})


@pytest.mark.parametrize(
    ("history", "unused"),
    [
        ([], set()),
        ([("", OLD)], set()),  # it runs
        ([("", NEW)], {NEW}),
        ([("", NEW, LATELY)], set()),
        ([(NEW, OLD)], set()),  # the way back
        ([(NEWEST, NEW), (NEW, OLD)], {NEWEST}),
        ([(NEWEST, NEW), (NEW, OLD), (OLD, OLD)], {NEWEST}),  # nothing newer: the way back stays
        ([(NEW, OLD), (OLD, OLD, LATELY)], set()),
        ([(NEWEST, NEW), (NEW, OLD, LATELY)], {NEWEST}),
        ([(NEWEST, NEW, LATELY), (NEW, OLD, LATELY)], set()),
    ],
)
def test_images_that_are_no_longer_needed(
    world: World, history: list[tuple[Any, ...]], unused: set[str]
) -> None:
    world.instance()
    for number, entry in enumerate(history):
        operation = past(world, *entry)
        Operation.objects.filter(pk=operation.pk).update(
            created_at=operation.created_at + timedelta(minutes=number)
        )
    assert unused_images(world.host, world.now) == unused


def test_an_image_that_failed_is_no_longer_needed_after_a_while(world: World) -> None:
    world.instance()
    past(world, OLD, OLD, status="rolled_back", facts={"new_image": NEW})
    assert unused_images(world.host, world.now) == {NEW}


def test_an_image_of_an_operation_under_way_is_needed(world: World) -> None:
    past(world, NEW, NEWEST, finished_at=None, status="running")
    assert unused_images(world.host, world.now) == set()


def test_the_way_back_of_a_customer_who_left_is_not_needed(world: World) -> None:
    world.instance()
    past(world, NEW, NEWEST, customer_id="gone")
    assert unused_images(world.host, world.now) == {NEW, NEWEST}


def test_images_of_another_host_and_those_never_run_are_none_of_our_business(world: World) -> None:
    world.instance()
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    past(world, "", NEW, host=other)
    world.engine.images["stranger:1"] = image_facts("stranger")
    assert unused_images(world.host, world.now) == set()
    assert unused_images(other, world.now) == {NEW}


def test_unused_images_are_removed_where_they_can_be(world: World) -> None:
    away = Host.objects.create(name="away", docker_url="unix:///fake/two.sock")
    world.outside.hosts[away.engine_url].unreachable = True
    world.instance()
    for number in (2, 3):
        world.engine.images[f"agent:{number}"] = image_facts(f"agent-{number}")
        past(world, "", image_facts(f"agent-{number}").id)
    world.engine.create(ContainerSpec(name="foreign", image=NEW, labels={}, env={}))
    removed = remove_unused_images(world.outside.engines, world.now)
    assert removed == {"away": [], "local": [NEWEST]}
    assert sorted(world.engine.images) == ["agent:2", IMAGE]


def test_an_image_that_an_update_takes_up_meanwhile_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (2, 3):
        world.engine.images[f"agent:{number}"] = image_facts(f"agent-{number}")
        past(world, "", image_facts(f"agent-{number}").id)
    remove = world.engine.remove_image

    def beside_an_update(image: str) -> bool:
        other = NEWEST if image == NEW else NEW
        past(world, "", other, finished_at=None, status="running")
        return remove(image)

    monkeypatch.setattr(world.engine, "remove_image", beside_an_update)
    [gone] = remove_unused_images(world.outside.engines, world.now)["local"]
    assert {held.id for held in world.engine.images.values()} & {NEW, NEWEST} == {NEW, NEWEST} - {gone}


def test_an_image_that_was_never_pushed_is_kept(world: World) -> None:
    world.engine.images["built:1"] = image_facts("agent-2", digests=())
    past(world, "", NEW)
    assert unused_images(world.host, world.now) == {NEW}
    assert remove_unused_images(world.outside.engines, world.now) == {"local": []}
    assert "built:1" in world.engine.images


def test_a_host_that_goes_away_meanwhile_is_tidied_another_day(world: World) -> None:
    past(world, "", NEW)
    world.engine.images["agent:2"] = image_facts("agent-2")
    world.engine.fail_next("remove_image", EngineUnreachable("It is gone."))
    assert remove_unused_images(world.outside.engines, world.now) == {}


def test_after_two_updates_and_a_while_only_the_way_back_is_kept(world: World) -> None:
    world.instance()
    first = image_facts("agent-1")
    for name in ("agent-2", "agent-3"):
        publish(world, name, f"registry.example.com/{name}:1")
        assert update(world, image=f"registry.example.com/{name}:1").status == "succeeded"
    assert unused_images(world.host, world.now) == set()
    world.clock.advance(cleanup.IMAGES_KEPT_FOR.total_seconds() + 60)
    assert unused_images(world.host, world.now) == {first.id}


def test_the_periodic_task_hands_removals_to_the_workers(
    world: World, sent: Callable[[str], list[Message]]
) -> None:
    throwaway(world, "over", -1)
    maintenance.tidy_up()
    [message] = sent("operations")
    operation = Operation.objects.get(kind="decommission")
    assert (message.task, message.kwargs) == ("dockmgr.carry_on", {"operation_id": str(operation.pk)})
