"""A container somebody else made is adopted as it is, and keeps all it has over whatever is done to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.demo_image import build
from dev.servers import free_port
from dev.servers.registry import Registry, registry
from instances.containers import host_sources
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import get, is_up, wait_until
from tests.real.workshop import Workshop, inspected, workshop

__all__ = ["workshop"]
pytestmark = pytest.mark.real

SECRET = "s3ntinel-adopted-value"
OF_THE_MOMENT = {
    "Id", "Created", "Image", "State", "RestartCount", "ResolvConfPath", "HostnamePath", "HostsPath",
    "LogPath", "GraphDriver", "SandboxID", "SandboxKey", "EndpointID", "ImageManifestDescriptor",
    "ExecIDs",
}  # fmt: skip


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


def lasting(container: dict[str, Any]) -> dict[str, Any]:
    """An inspected container without ids and times, the name of its image and our labels.

    What is mounted of the host is told in one of its two ways, which only `Mode` tells apart.
    """
    short = container["Id"][:12]
    kept: dict[str, Any] = host_sources.checking_sources(_lasting(container, short))
    kept["Mounts"] = [{k: v for k, v in mount.items() if k != "Mode"} for mount in kept["Mounts"]]
    labels = {k: v for k, v in kept["Config"]["Labels"].items() if not k.startswith("dockmgr.")}
    # Podman tells its environment in any order, with the short id in it.
    env = sorted(line for line in kept["Config"]["Env"] if line != f"HOSTNAME={short}")
    kept["Config"] |= {"Labels": labels, "Env": env}
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
    image = instance["image"].removeprefix("docker.io/library/")  # Podman tells whole names
    assert (instance["container"], instance["port"], image) == (name, port, workshop.image)
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


def test_all_with_a_label_are_adopted_and_asked_at_their_own_addresses(
    fleet: Fleet, workshop: Workshop
) -> None:
    network, _ = workshop.network("inner")
    for name in ("one", "two"):
        labels = {"of": workshop.prefix, "customer": fleet.customer(name)}
        identity = workshop.container(name, {"Labels": labels, "HostConfig": {"NetworkMode": network}})
        workshop.client.api.start(identity)
    wait_until(lambda: all(is_up(8080, own_address(workshop, name)) for name in ("one", "two")))
    mapping = ("--map", "customer_id=label:customer", "--map", "subdomain={customer_id}.example.com")
    taken = fleet.json("adopt", "--all", "--label", f"of={workshop.prefix}", *mapping)
    assert [row["customer_id"] for row in taken["instances"]] == [
        fleet.customer("one"),
        fleet.customer("two"),
    ]
    before = {name: own_address(workshop, name) for name in ("one", "two")}
    for name in ("one", "two"):  # each is to get the address the other one had
        workshop.client.api.stop(f"{workshop.prefix}-{name}", timeout=1)
    for name in ("two", "one"):
        fleet.json("restart", "--customer-id", fleet.customer(name))
    assert {name: own_address(workshop, name) for name in ("one", "two")} != before
    assert get(8080, "/mode/503", host=own_address(workshop, "two"))[0] == 200
    checks = fleet.json("check_health", "--all", code=1)["instances"]
    assert [check["healthy"] for check in checks] == [True, False]


def own_address(workshop: Workshop, name: str) -> str:
    [place] = inspected(workshop, f"{workshop.prefix}-{name}")["NetworkSettings"]["Networks"].values()
    return str(place["IPAddress"])
