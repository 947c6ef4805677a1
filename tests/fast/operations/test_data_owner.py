"""A plan's `data_owner` has the volumes that dockmgr makes, and no other."""

from __future__ import annotations

import pytest

from instances.containers.spec import labels_for
from instances.errors import PermanentError
from instances.fleet.cleanup import remove_expired
from instances.models import Plan
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


def test_an_update_gives_away_what_the_plan_came_to_have(world: World) -> None:
    publish(world, "agent-1")
    instance = world.instance()
    instance.volumes = {instance.volume_name: "/data"}
    instance.save()
    own(volumes={"cache": "/cache"})
    done = update(world)
    assert (done.status, done.error) == ("succeeded", "")
    assert world.engine.owners == {"dockmgr-c1-cache": OWNER}


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
