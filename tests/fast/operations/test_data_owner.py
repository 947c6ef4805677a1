"""A plan's `data_owner` has the volumes that dockmgr makes, and no other."""

from __future__ import annotations

import pytest

from instances.containers.spec import labels_for
from instances.errors import NameTaken, PermanentError
from instances.fleet.cleanup import remove_expired
from instances.models import Instance, Operation, Plan
from instances.operations import service
from tests.factories import ASKED, World
from tests.fakes.outside import Killed
from tests.fast.updates import publish, update

pytestmark = pytest.mark.django_db
OWNER = (1000, 1001)


def own(**options: object) -> None:
    Plan.objects.filter(name="pro").update(options={"data_owner": "1000:1001", **options})


def test_new_volumes_are_given_away_before_the_container_starts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(volumes={"cache": "/cache"})
    start, given = world.engine.start, []

    def note(container: str) -> None:
        given.append(dict(world.engine.owners))
        start(container)

    monkeypatch.setattr(world.engine, "start", note)
    assert world.provision().status == "succeeded"
    assert given[0] == {"dockmgr-new-data": OWNER, "dockmgr-new-cache": OWNER}


def test_what_was_there_before_is_left_as_it_is(world: World) -> None:
    own()
    world.engine.volumes["dockmgr-new-data"] = labels_for("new", "pro")
    assert world.provision(former_data="keep").status == "succeeded"
    assert world.engine.owners == {}


@pytest.fixture
def instance(world: World) -> Instance:
    """One whose plan has come to have a volume more."""
    publish(world, "agent-1")
    made = world.instance()
    made.volumes = {made.volume_name: "/data"}
    made.save()
    own(volumes={"cache": "/cache"})
    return made


def test_it_is_given_away_also_where_who_made_it_came_to_no_good_end(
    world: World, instance: Instance
) -> None:
    world.engine.fail_next("create", PermanentError("No."))
    assert (update(world).status, world.engine.owners) == ("failed", {})
    assert update(world).status == "succeeded"
    assert world.engine.owners == {"dockmgr-c1-cache": OWNER}


def test_so_it_is_where_data_was_to_be_begun_anew(world: World, instance: Instance) -> None:
    world.engine.lose(instance.container_name)
    world.engine.volumes.clear()
    world.engine.fail_next("create", PermanentError("No."))
    begun = service.begin_restart("c1", ASKED, world.outside, with_empty_data=True)
    assert service.run_to_end(begun.pk, world.outside).status == "failed"
    assert (world.restart().status, len(world.engine.owners)) == ("succeeded", 2)


def test_what_the_plan_came_to_have_is_given_away_and_not_again_once_it_serves(
    world: World, instance: Instance
) -> None:
    """It was made in an operation that ended well, or somebody else has it."""
    done = update(world)
    assert (done.status, done.error) == ("succeeded", "")
    assert world.engine.owners == {"dockmgr-c1-cache": OWNER}
    for image, ended in (("agent-2", "succeeded"), ("agent-3", "failed")):
        Operation.objects.update(status=ended)
        world.engine.owners.clear()
        publish(world, image)
        assert (update(world).status, world.engine.owners) == ("succeeded", {})


HOLDER = "dockmgr-new-data.owner"


def killed_while_giving(world: World) -> None:
    def dies() -> None:
        world.engine.in_between = lambda: None
        raise Killed

    own()
    world.engine.in_between = dies
    operation = service.begin_provision(world.order("new"), ASKED, world.outside)
    with pytest.raises(Killed):
        service.run_to_end(operation.pk, world.outside)
    assert HOLDER in world.engine.containers
    world.clock.advance(31)


def test_what_held_a_volume_for_whoever_was_killed_is_removed_by_the_next(world: World) -> None:
    killed_while_giving(world)
    [done] = service.recover(world.outside)
    assert (done.status, world.engine.containers) == ("succeeded", ["dockmgr-new"])
    assert world.engine.owners == {"dockmgr-new-data": OWNER}


def test_one_that_the_engine_is_still_making_for_whoever_was_killed_is_waited_for(world: World) -> None:
    own()
    world.engine.fail_next("give_volume", NameTaken('The container name "/v.owner" is already in use.'))
    done = world.provision()
    assert (done.status, world.engine.owners) == ("succeeded", {"dockmgr-new-data": OWNER})


def test_it_keeps_no_volume_from_being_removed(world: World) -> None:
    killed_while_giving(world)
    world.engine.fail_next("give_volume", PermanentError("No."))
    [done] = service.recover(world.outside)
    assert (done.status, done.error, world.engine.containers) == ("failed", "No.", [])
    assert world.nothing_is_left_of("new")


def test_what_nobody_comes_back_for_is_removed_once_its_time_is_over(world: World) -> None:
    killed_while_giving(world)
    assert remove_expired(world.outside.engines, world.now) == {"local": []}
    world.clock.advance(600)
    assert remove_expired(world.outside.engines, world.now) == {"local": [HOLDER]}
    assert HOLDER not in world.engine.containers
