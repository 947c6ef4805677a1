"""A container made anew from what is kept of another one is the same, whatever that one is like."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from instances.containers import adoption, host_sources
from instances.containers.spec import ContainerSpec
from instances.engine.docker_engine import DockerEngine
from instances.errors import PermanentError
from tests.real.workshop import Workshop, inspected, workshop

__all__ = ["workshop"]
pytestmark = pytest.mark.real

KINDS: dict[str, dict[str, Any]] = {
    "nothing of its own": {},
    "no entrypoint": {"Entrypoint": [""], "Cmd": ["/srv/start.sh"]},
    "an entrypoint": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["/srv/start.sh"]},
    "a variable of the image taken away": {"Env": ["B=1", "A=", "DEMO_VERSION"]},
    "another value for a variable of the image": {"Env": ["DEMO_VERSION=9"]},
    "no health check": {"Healthcheck": {"Test": ["NONE"]}},
    "no time to stop": {"StopTimeout": 0},
    "a host name": {"Hostname": "gw", "Domainname": "example.com"},
    "the host's name": {"HostConfig": {"UTSMode": "host"}},
    "the host's network": {"HostConfig": {"NetworkMode": "host"}},
    "no network": {"HostConfig": {"NetworkMode": "none"}},
    "an anonymous volume": {"Volumes": {"/anon": {}}},
    "an anonymous volume among the binds": {"HostConfig": {"Binds": ["/anon"]}},
    "an anonymous volume among the mounts": {
        "HostConfig": {"Mounts": [{"Type": "volume", "Target": "/anon", "VolumeOptions": {"NoCopy": True}}]}
    },
    "privileges": {"HostConfig": {"Privileged": True, "CapAdd": ["SYS_ADMIN"]}},
    "a device": {
        "HostConfig": {
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nil", "CgroupPermissions": "r"}]
        }
    },
    "every exposed port": {"HostConfig": {"PublishAllPorts": True}},
    "a range of ports": {
        "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "18100-18110"}]}}
    },
    "a read-only root": {"HostConfig": {"ReadonlyRootfs": True, "SecurityOpt": ["no-new-privileges"]}},
}


@pytest.fixture
def engine(docker_url: str) -> Iterator[DockerEngine]:
    with closing(DockerEngine(docker_url)) as engine:
        yield engine


def made_anew(engine: DockerEngine, workshop: Workshop, container: str) -> str:
    """A second container like an existing one; returns its id, having seen that it is the same."""
    image = engine.describe_image(workshop.image)
    first = engine.describe(container)
    assert image and first
    document, env = adoption.derive(first, image), adoption.environment(first, image)
    spec = ContainerSpec(f"{workshop.prefix}-again", workshop.image, {}, env, raw=document)
    again = engine.create(spec)
    second = engine.describe(again)
    assert second
    assert adoption.drift(document, second) == []
    assert adoption.derive(second, image) == document
    assert adoption.environment(second, image) == env
    assert sorted(second["Config"]["Env"]) == sorted(first["Config"]["Env"])  # Podman tells it in any order
    assert (second["Path"], second["Args"]) == (first["Path"], first["Args"])
    assert {m["Destination"]: m.get("Name") for m in second["Mounts"]} == {
        m["Destination"]: m.get("Name") for m in first["Mounts"]
    }
    assert engine.inspect(again)
    return again


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_a_container_made_anew_is_the_same(
    engine: DockerEngine, workshop: Workshop, config: dict[str, Any]
) -> None:
    made_anew(engine, workshop, workshop.container("first", copy.deepcopy(config)))


def test_a_container_that_left_its_first_network_does_not_come_back_to_it(
    engine: DockerEngine, workshop: Workshop
) -> None:
    network, _ = workshop.network("one")
    container = workshop.container("first", {})
    workshop.client.networks.get(network).connect(container)
    workshop.client.networks.get("bridge").disconnect(container)
    again = inspected(workshop, made_anew(engine, workshop, container))
    assert list(again["NetworkSettings"]["Networks"]) == [network]


@pytest.mark.parametrize("mode", ["", ":ro", ":rw,rslave"])
def test_a_folder_of_the_host_is_mounted_the_same_in_both_ways(
    engine: DockerEngine, workshop: Workshop, tmp_path: Path, mode: str
) -> None:
    binds = [f"{tmp_path}:/conf{mode}", f"{workshop.prefix}-data:/data"]
    first = engine.describe(workshop.container("first", {"HostConfig": {"Binds": binds}}))
    image = engine.describe_image(workshop.image)
    assert first and image
    document = adoption.derive(first, image)
    checking = host_sources.checking_sources(document)
    for number, raw in enumerate((checking, host_sources.making_sources(checking))):
        spec = ContainerSpec(f"{workshop.prefix}-again-{number}", workshop.image, {}, {}, raw=raw)
        second = engine.describe(engine.create(spec))
        assert second
        assert adoption.drift(document, second) == []
        assert mounts(second) == mounts(first)


def mounts(container: dict[str, Any]) -> list[tuple[Any, ...]]:
    keys = ("Destination", "Type", "Source", "RW", "Propagation")
    return sorted(tuple(mount.get(key) for key in keys) for mount in container["Mounts"])


def test_a_network_named_by_its_id_and_another_containers_volumes_are_kept(
    engine: DockerEngine, workshop: Workshop
) -> None:
    network, _ = workshop.network("one")
    other = workshop.container("other", {"Volumes": {"/shared": {}}})
    host = {"NetworkMode": workshop.client.networks.get(network).id, "VolumesFrom": [f"{other}:ro"]}
    made_anew(engine, workshop, workshop.container("first", {"HostConfig": host}))


def test_a_container_that_cannot_join_a_network_is_not_left_behind(
    engine: DockerEngine, workshop: Workshop
) -> None:
    container = workshop.container("first", {})
    first, image = engine.describe(container), engine.describe_image(workshop.image)
    assert first and image
    document = adoption.derive(first, image)
    document["Networks"]["host"] = {"Aliases": None}
    spec = ContainerSpec(f"{workshop.prefix}-again", workshop.image, {}, {}, raw=document)
    with pytest.raises(PermanentError, match="network host"):
        engine.create(spec)
    with pytest.raises(NotFound):
        workshop.client.containers.get(spec.name)
