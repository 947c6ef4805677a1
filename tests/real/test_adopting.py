"""A container somebody else made is adopted as it is, and keeps all it has over whatever is done to it."""

from __future__ import annotations

import copy
import random
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound

from dockmgr.local.demo_image import build
from dockmgr.local.servers import free_port
from dockmgr.local.servers.registry import Registry, registry
from instances import adoption
from instances.engine.docker_engine import DockerEngine
from instances.errors import PermanentError
from instances.spec import ContainerSpec
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import docker_client, is_up, wait_until

pytestmark = pytest.mark.real

SECRET = "s3ntinel-adopted-value"
OF_THE_MOMENT = {
    "Id", "Created", "Image", "State", "RestartCount", "ResolvConfPath", "HostnamePath", "HostsPath",
    "LogPath", "GraphDriver", "SandboxID", "SandboxKey", "EndpointID",
}  # fmt: skip


class Workshop:
    """What somebody without dockmgr has on an engine; all of it is named `prefix` and removed at the end."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.client, self.image = client, image
        self.prefix = f"adopt-{uuid.uuid4().hex[:8]}"
        self._volumes: list[str] = []

    def network(self, name: str) -> tuple[str, str]:
        """A network, and an address in it that nobody has."""
        base = f"10.{random.randrange(100, 250)}.{random.randrange(256)}"
        pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=f"{base}.0/24")])
        self.client.networks.create(f"{self.prefix}-{name}", ipam=pool)
        return f"{self.prefix}-{name}", f"{base}.77"

    def container(self, name: str, config: dict[str, Any]) -> str:
        """A created container's id; `config` as the engine takes it."""
        told, name = {"Image": self.image, "HostConfig": {}, **config}, f"{self.prefix}-{name}"
        made = self.client.api.create_container_from_config(told, name)  # type: ignore[no-untyped-call]
        self._remember_volumes(made["Id"])
        return str(made["Id"])

    def _remember_volumes(self, container: str) -> None:
        mounts = self.client.api.inspect_container(container)["Mounts"]
        self._volumes += [mount["Name"] for mount in mounts if mount["Type"] == "volume"]

    def clean_up(self) -> None:
        for container in self.client.containers.list(all=True, filters={"name": self.prefix}):
            self._remember_volumes(str(container.id))
            container.remove(force=True)
        for network in self.client.networks.list(filters={"name": self.prefix}):
            network.remove()
        for name in set(self._volumes):
            self.client.volumes.get(name).remove()


@pytest.fixture
def workshop(docker_url: str, demo_image: str) -> Iterator[Workshop]:
    with docker_client(docker_url) as client:
        workshop = Workshop(client, demo_image)
        try:
            yield workshop
        finally:
            workshop.clean_up()


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    with a_fleet(home, docker_url, broker_url, demo_image, start_grace=3) as fleet:
        yield fleet


@pytest.fixture
def images(tmp_path: Path, workshop: Workshop, docker_url: str) -> Iterator[dict[str, str]]:
    """References in a registry of two later images: one as good as the demo image, one that answers 503."""
    with registry(tmp_path) as server:
        yield {
            "good": push(workshop, server, docker_url, "good"),
            "bad": push(workshop, server, docker_url, "bad", MODE="503"),
        }


def push(workshop: Workshop, server: Registry, docker_url: str, tag: str, **environment: str) -> str:
    reference = f"{server.address}/{workshop.prefix}:{tag}"
    build(docker_url, reference, environment=environment, labels={"dockmgr.test": f"{workshop.prefix}-{tag}"})
    for event in workshop.client.images.push(reference, stream=True, decode=True):
        assert "error" not in event, event
    workshop.client.images.remove(reference)
    return reference


def a_gateway(workshop: Workshop, folder: Path, port: int) -> str:
    """A running container with a bit of everything; returns its name."""
    first, address = workshop.network("one")
    second, _ = workshop.network("two")
    (folder / "conf").mkdir()
    identity = workshop.container(
        "gateway",
        {
            "Env": [f"API_KEY={SECRET}", "TZ=UTC", "A=1"],
            "Labels": {"team": "a"},
            "User": "0:0",
            "StopSignal": "SIGINT",
            "ExposedPorts": {"8080/tcp": {}},
            "HostConfig": {
                "NetworkMode": first,
                "Binds": [f"{workshop.prefix}-data:/data", f"{folder / 'conf'}:/conf:ro"],
                "Mounts": [{"Type": "tmpfs", "Target": "/cache", "TmpfsOptions": {"SizeBytes": 1 << 20}}],
                "Tmpfs": {"/scratch": "size=1m,mode=1777"},
                "PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(port)}]},
                "ExtraHosts": ["db:10.0.0.9"],
                "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
                "CapDrop": ["NET_RAW", "MKNOD"],
                "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
                "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
                "Memory": 64 << 20,
                "PidsLimit": 100,
                "ShmSize": 1 << 20,
                "Init": True,
            },
            "NetworkingConfig": {
                "EndpointsConfig": {first: {"Aliases": ["gw"], "IPAMConfig": {"IPv4Address": address}}}
            },
        },
    )
    workshop.client.networks.get(second).connect(identity, aliases=["audit"])
    workshop.client.api.start(identity)
    wait_until(lambda: is_up(port))
    return f"{workshop.prefix}-gateway"


def inspected(workshop: Workshop, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = workshop.client.api.inspect_container(name)
    return answer


def lasting(container: dict[str, Any]) -> dict[str, Any]:
    """An inspected container without ids and times, the name of its image and our labels."""
    short = container["Id"][:12]
    kept: dict[str, Any] = _lasting(container, short)
    labels = {k: v for k, v in kept["Config"]["Labels"].items() if not k.startswith("dockmgr.")}
    kept["Config"] |= {"Labels": labels}
    kept["Mounts"] = sorted(kept["Mounts"], key=lambda mount: str(mount["Destination"]))
    for endpoint in kept["NetworkSettings"]["Networks"].values():
        del endpoint["MacAddress"], endpoint["IPAddress"]  # the chosen address is among the IPAMConfig
    return kept


def _lasting(value: Any, short: str) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(entry, short) for key, entry in value.items() if key not in OF_THE_MOMENT}
    if isinstance(value, list):
        return [_lasting(entry, short) for entry in value]
    return "ID" if value == short else value


def test_an_adopted_container_keeps_all_it_has_over_restart_update_and_rollback(
    fleet: Fleet, workshop: Workshop, images: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    name = a_gateway(workshop, tmp_path, port)
    workshop.client.containers.get(name).exec_run(["/bin/sh", "-c", "echo precious > /data/note"])
    before = inspected(workshop, name)
    adopted_without_a_touch(fleet, workshop, name, port)
    kept, customer = lasting(before), ("--customer-id", fleet.customer("gw"))

    assert fleet.json("restart", *customer)["status"] == "succeeded"
    restarted = inspected(workshop, name)
    assert (lasting(restarted), restarted["Id"]) == (kept, before["Id"])

    updated_and_rolled_back(fleet, workshop, images, name, kept)

    workshop.client.containers.get(name).remove(force=True)
    report = fleet.json("daily_health")
    assert (report["healthy"], report["restarted"]) == (1, [fleet.customer("gw")])
    assert lasting(inspected(workshop, name)) == kept
    assert fleet.json("validate", *customer)["valid"] is True
    note = workshop.client.containers.get(name).exec_run(["cat", "/data/note"]).output
    assert note == b"precious\n"


def adopted_without_a_touch(fleet: Fleet, workshop: Workshop, name: str, port: int) -> None:
    before = inspected(workshop, name)
    customer = fleet.customer("gw")
    words = ("--customer-id", customer, "--subdomain", f"{customer}.example.com", "--container", name)
    instance = fleet.json("adopt", *words)
    assert (instance["container"], instance["port"], instance["image"]) == (name, port, workshop.image)
    assert inspected(workshop, name) == before
    again = fleet.run("adopt", *words)
    assert (again.returncode, again.stderr) == (2, f"Customer {customer} has an instance already.\n")
    report = fleet.json("daily_health")
    assert (report["healthy"], report["restarted"]) == (1, [])
    assert inspected(workshop, name) == before
    assert fleet.json("validate", "--customer-id", customer)["errors"] == []
    for row in fleet.sql("SELECT * FROM instances_instance") + fleet.sql("SELECT * FROM instances_operation"):
        assert SECRET not in str(row) and "API_KEY" not in str(row)


def updated_and_rolled_back(
    fleet: Fleet, workshop: Workshop, images: dict[str, str], name: str, kept: dict[str, Any]
) -> None:
    customer = ("--customer-id", fleet.customer("gw"))
    assert fleet.json("update", *customer, "--image", images["good"])["status"] == "succeeded"
    updated = inspected(workshop, name)
    assert lasting(updated) == kept
    assert updated["Image"] == workshop.client.images.get(images["good"]).id
    assert fleet.json("update", *customer, "--image", images["bad"], code=1)["status"] == "rolled_back"
    back = inspected(workshop, name)
    assert (lasting(back), back["Id"]) == (kept, updated["Id"])
    assert fleet.json("validate", *customer)["errors"] == []
    names = [c.name for c in workshop.client.containers.list(all=True, filters={"name": workshop.prefix})]
    assert names == [name]


def test_an_engines_own_choice_of_port_is_followed(fleet: Fleet, workshop: Workshop) -> None:
    bindings = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    workshop.client.api.start(workshop.container("any", {"HostConfig": {"PortBindings": bindings}}))
    name, customer = f"{workshop.prefix}-any", fleet.customer("any")
    words = ("--customer-id", customer, "--subdomain", customer, "--container", name)
    fleet.json("adopt", *words)
    fleet.json("restart", "--customer-id", customer)
    now = inspected(workshop, name)["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
    assert fleet.instances()["any"]["port"] == int(now)
    assert fleet.json("check_health", "--customer-id", customer)["healthy"] == 1


KINDS: dict[str, dict[str, Any]] = {
    "nothing of its own": {},
    "no entrypoint": {"Entrypoint": [""], "Cmd": ["/srv/start.sh"]},
    "an entrypoint": {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["/srv/start.sh"]},
    "a variable of the image taken away": {"Env": ["DEMO_VERSION", "B=1", "A="]},
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
    assert second["Config"]["Env"] == first["Config"]["Env"]
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
