"""The container that holds a volume while it gets an owner: what an engine is asked."""

from __future__ import annotations

from contextlib import closing

import pytest

from instances.containers.spec import MANAGED_LABEL
from instances.engine.docker_engine import DockerEngine
from instances.errors import NameTaken
from tests.fakes.stub_server import Answer, StubServer, as_json

ID = "a" * 64
REMOVED = f"DELETE /v1.41/containers/{ID}"
VERSION = {"/version": as_json({"ApiVersion": "1.41"}), "/v1.41/_ping": Answer(body=b"OK")}


def asked_to_remove_volume(labels: dict[str, str]) -> list[str]:
    """What an engine is asked that has a container of the name with these labels."""
    told = {"Id": ID, "Name": "/v.owner", "State": {"Status": "created"}, "Config": {"Labels": labels}}
    answers = {"/v1.41/containers/v.owner/json": as_json({**told, "HostConfig": {}})}
    gone = {f"/v1.41/containers/{ID}": Answer(204), "/v1.41/volumes/v": Answer(204)}
    script = {**VERSION, **answers, **gone}
    with (
        StubServer(script.get).running() as server,
        closing(DockerEngine(f"tcp://{server.address}")) as engine,
    ):
        engine.remove_volume("v")
    return [line for line in server.asked if line.startswith("DELETE")]


@pytest.mark.parametrize(("labels", "is_ours"), [({MANAGED_LABEL: "true"}, True), ({}, False)])
def test_one_that_was_left_goes_before_its_volume_unless_it_is_a_strangers(
    labels: dict[str, str], *, is_ours: bool
) -> None:
    own = [REMOVED] if is_ours else []
    assert asked_to_remove_volume(labels) == [*own, "DELETE /v1.41/volumes/v"]


def test_it_has_the_volumes_name_and_goes_also_where_the_engine_fails_meanwhile() -> None:
    none = {"/v1.41/containers/v.owner/json": as_json({"message": "No such container: v.owner"}, 404)}
    created = {**none, "/v1.41/containers/create": as_json({"Id": ID}, 201)}
    with (
        StubServer({**VERSION, **created}.get).running() as server,
        closing(DockerEngine(f"tcp://{server.address}")) as engine,
        pytest.raises(Exception, match="give volume v an owner"),
    ):
        engine.give_volume("v", (1000, 1000), "i:1", {MANAGED_LABEL: "true"})
    looked = [line.rpartition("/")[0] for line in server.asked if line.endswith("v.owner/json")]
    assert looked == ["GET /v1.41/containers/v.owner"] * 2


def test_one_that_is_still_being_made_is_told_by_its_name() -> None:
    none = {"/v1.41/containers/v.owner/json": as_json({"message": "No such container: v.owner"}, 404)}
    taken = as_json({"message": 'The container name "/v.owner" is already in use by container "aa".'}, 409)
    with (
        StubServer({**VERSION, **none, "/v1.41/containers/create": taken}.get).running() as server,
        closing(DockerEngine(f"tcp://{server.address}")) as engine,
        pytest.raises(NameTaken, match="give volume v an owner"),
    ):
        engine.give_volume("v", (1000, 1000), "i:1", {MANAGED_LABEL: "true"})
