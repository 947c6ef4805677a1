"""A host is asked whether customers are apart: by throwaway containers, of which nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers.facts import NetworkFacts
from instances.engine import probe_program as programs
from instances.errors import PermanentError, TransientError
from instances.models import Host
from instances.operations.validate_host import validate_host
from tests.factories import World
from tests.fast.in_the_making import a_network_in_the_making

pytestmark = pytest.mark.django_db
APART = {"isolation_neighbours": True, "isolation_host": True, "isolation_link_local": True}


def found(world: World) -> dict[str, Any]:
    before = (sorted(world.engine.containers), sorted(world.engine.images))
    checks = validate_host(world.host, world.outside).document()["checks"]
    assert (sorted(world.engine.containers), sorted(world.engine.images)) == before
    return {check["name"]: check["ok"] for check in checks if check["name"] in (*APART, "network")}


def connects_to(archive: bytes, *ports: int) -> bool:
    """Whether it is the program that connects, to one of these ports."""
    return any(programs.connect("amd64", "0.0.0.0", port)[-16:-12] in archive for port in ports)


def test_what_is_reached_is_said_and_nothing_is_left(world: World) -> None:
    world.engine.ends = lambda archive: 111 if connects_to(archive, 80) else None
    world.engine.create_network("dockmgr", {}, {"dockmgr.managed": "true"})
    assert found(world) == {"network": True, **APART, "isolation_link_local": False}
    world.engine.ends = lambda archive: 0 if b"ustar" in archive else None
    assert found(world) == {"network": True, **dict.fromkeys(APART, False)}


def test_the_bridge_is_made_for_the_first_look(world: World) -> None:
    assert found(world)["network"]
    assert list(world.engine.networks) == ["dockmgr"]


def test_a_network_of_others_is_named_and_nothing_is_tried_there(world: World) -> None:
    world.engine.networks["dockmgr"] = NetworkFacts("n1", "dockmgr", "bridge", {}, {})
    assert found(world) == {"network": False}


def test_an_engine_that_refuses_throwaway_containers_is_not_taken_for_safe(world: World) -> None:
    world.engine.fail_next("create", PermanentError("It did not."))
    assert found(world) == {"network": True, **dict.fromkeys(APART, False)}


def test_an_engine_that_gives_images_a_tag_of_its_own_leaves_none_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.engine.import_image

    def tagged_latest(archive: bytes, reference: str) -> str:
        made(archive, f"{reference.rpartition(':')[0]}:latest")
        if reference not in world.engine.images:
            raise TransientError(f"The Docker Engine made {reference} but does not have it.")
        return world.engine.images[reference].id

    monkeypatch.setattr(world.engine, "import_image", tagged_latest)
    assert found(world)["isolation_neighbours"]


def test_an_image_that_is_made_though_the_engine_says_otherwise_is_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.engine.import_image

    def cut(archive: bytes, reference: str) -> str:
        made(archive, reference)
        raise TransientError("The answer can't be read.")

    monkeypatch.setattr(world.engine, "import_image", cut)
    assert not found(world)["isolation_neighbours"]


def test_nothing_is_made_on_the_engine_of_another_host(world: World) -> None:
    Host.objects.update(engine_id="another")
    world.host.refresh_from_db()
    assert found(world) == {}
    assert world.engine.networks == {}


def test_a_bridge_that_a_provisioning_makes_just_now_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = a_network_in_the_making(world, monkeypatch)
    assert found(world)["network"]
    assert len(refused) == 2


def test_a_bridge_that_never_shows_is_told_after_a_few_tries(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_the_making(name: str, options: dict[str, str], labels: dict[str, str]) -> None:
        raise TransientError("The Docker Engine did not create it: networks have same bridge name.")

    monkeypatch.setattr(world.engine, "create_network", in_the_making)
    with pytest.raises(TransientError, match="same bridge name"):
        found(world)
