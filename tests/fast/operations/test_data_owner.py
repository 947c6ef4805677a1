"""A plan's `data_owner` has the volumes that dockmgr makes, and no other."""

from __future__ import annotations

import pytest

from instances.containers.spec import labels_for
from instances.models import Plan
from tests.factories import World
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
