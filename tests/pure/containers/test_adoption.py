"""What is kept of an existing container, what is left to its image, and the container made anew from it."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers import adoption
from instances.containers.spec import InstanceSpec, PlanSpec, build
from instances.engine.payloads import create_arguments, networks_to_join
from tests.pure.container_samples import (
    CONTAINER,
    ENDPOINT,
    ID,
    IMAGE,
    a_container,
    a_volume,
    derived,
    joined,
)

SECRET = "sk-4f9a-sentinel"


def test_a_container_that_is_all_its_images_keeps_only_how_it_is_run() -> None:
    assert derived() == {
        "Config": {},
        "HostConfig": CONTAINER["HostConfig"],
        "Networks": {"bridge": ENDPOINT},
    }


CONFIGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a user": ({"User": "root"}, {"User": "root"}),
    "a folder": ({"WorkingDir": "/"}, {"WorkingDir": "/"}),
    "a host name": ({"Hostname": "gw"}, {"Hostname": "gw"}),
    "a terminal": ({"Tty": True}, {"Tty": True}),
    "a command": ({"Cmd": ["serve", "-v"]}, {"Cmd": ["serve", "-v"]}),
    "an entrypoint brings its command": (
        {"Entrypoint": ["/bin/sh"]},
        {"Entrypoint": ["/bin/sh"], "Cmd": ["serve"]},
    ),
    "an entrypoint without a command": (
        {"Entrypoint": ["/bin/sh"], "Cmd": None},
        {"Entrypoint": ["/bin/sh"]},
    ),
    "no entrypoint": ({"Entrypoint": None}, {"Entrypoint": [""], "Cmd": ["serve"]}),
    "labels": ({"Labels": {"version": "1", "team": "a"}}, {"Labels": {"team": "a"}}),
    "a label of the image with another value": ({"Labels": {"version": "2"}}, {"Labels": {"version": "2"}}),
    "ports": ({"ExposedPorts": {"8080/tcp": {}, "53/udp": {}}}, {"ExposedPorts": {"53/udp": {}}}),
    "volumes": ({"Volumes": {"/data": {}, "/cache": {}}}, {"Volumes": {"/cache": {}}}),
    "a health check": ({"Healthcheck": {"Test": ["NONE"]}}, {"Healthcheck": {"Test": ["NONE"]}}),
    "a signal": ({"StopSignal": "SIGINT"}, {"StopSignal": "SIGINT"}),
    "no time to stop": ({"StopTimeout": 0}, {"StopTimeout": 0}),
    "a variable of the image taken away": ({"Env": ["PATH=/bin", "MODE"]}, {"Env": ["MODE"]}),
    "something a later engine knows": ({"Novelty": {"a": 1}}, {"Novelty": {"a": 1}}),
}


@pytest.mark.parametrize(("config", "kept"), CONFIGS.values(), ids=CONFIGS)
def test_the_configuration_keeps_what_the_image_does_not_say(
    config: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert derived(config=config)["Config"] == kept


def test_the_name_of_the_host_is_not_kept_where_the_container_has_its_hosts() -> None:
    assert "Hostname" not in derived(config={"Hostname": "machine"}, UTSMode="host")["Config"]


ENVIRONMENTS: dict[str, tuple[list[str] | None, dict[str, str]]] = {
    "nothing": (None, {}),
    "only the image's": (["PATH=/bin", "MODE=image"], {}),
    "its own, in its order": (["Z=1", "A=a=b", "PATH=/bin"], {"Z": "1", "A": "a=b"}),
    "another value": (["MODE=own"], {"MODE": "own"}),
    "an empty value": (["MODE="], {"MODE": ""}),
    "a name alone": (["MODE"], {}),
    "twice, the last counts": (["A=1", "A=2"], {"A": "2"}),
}


@pytest.mark.parametrize(("lines", "own"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_environment_is_what_the_image_does_not_set(lines: list[str] | None, own: dict[str, str]) -> None:
    found = adoption.environment(a_container(config={"Env": lines}), IMAGE)
    assert (found, list(found)) == (own, list(own))


def test_no_value_of_the_environment_is_in_the_document() -> None:
    assert SECRET not in str(derived(config={"Env": [f"KEY={SECRET}"]}))


MOUNTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "named volumes and folders stay as they were asked for": (
        {"mounts": [a_volume("v", "/data")], "Binds": ["v:/data", "/etc/x:/conf:ro"]},
        {"Binds": ["v:/data", "/etc/x:/conf:ro"]},
    ),
    "an anonymous volume gets its name": (
        {"mounts": [a_volume("a1b2", "/data")]},
        {"Binds": ["a1b2:/data"]},
    ),
    "one that can't be written to stays so": (
        {"mounts": [a_volume("a1b2", "/data", RW=False)], "Binds": ["/x:/y"]},
        {"Binds": ["/x:/y", "a1b2:/data:ro"]},
    ),
    "an anonymous volume among the binds is named instead": (
        {"mounts": [a_volume("a1b2", "/data")], "Binds": ["/data"]},
        {"Binds": ["a1b2:/data"]},
    ),
    "an anonymous volume among the mounts is named in place": (
        {
            "mounts": [a_volume("a1b2", "/data")],
            "Mounts": [{"Type": "volume", "Target": "/data/", "VolumeOptions": {"NoCopy": True}}],
        },
        {
            "Binds": None,
            "Mounts": [
                {"Type": "volume", "Target": "/data/", "VolumeOptions": {"NoCopy": True}, "Source": "a1b2"}
            ],
        },
    ),
    "paths with a slash at their end are the same": (
        {"mounts": [a_volume("v", "/data")], "Binds": ["v:/data/"]},
        {"Binds": ["v:/data/"]},
    ),
    "memory and folders of the host among the mounts": (
        {
            "mounts": [{"Type": "tmpfs", "Destination": "/t"}, {"Type": "bind", "Destination": "/b"}],
            "Mounts": [{"Type": "tmpfs", "Target": "/t"}, {"Type": "bind", "Source": "/x", "Target": "/b"}],
        },
        {
            "Binds": None,
            "Mounts": [{"Type": "tmpfs", "Target": "/t"}, {"Type": "bind", "Source": "/x", "Target": "/b"}],
        },
    ),
}


@pytest.mark.parametrize(("changes", "kept"), MOUNTS.values(), ids=MOUNTS)
def test_every_mount_is_kept_and_every_volume_has_a_name(
    changes: dict[str, Any], kept: dict[str, Any]
) -> None:
    host = derived(**changes)["HostConfig"]
    assert {key: host.get(key) for key in kept} == kept
    assert host["CapDrop"] == ["ALL"]


def test_the_paths_something_is_mounted_at_are_known() -> None:
    document = derived(
        Binds=["v:/data/", "/x:/conf:ro"],
        Mounts=[{"Type": "tmpfs", "Target": "/t"}],
        Tmpfs={"/scratch": "size=1m"},
    )
    assert adoption.mount_points(document) == {"/data", "/conf", "/t", "/scratch"}


ALIASES: dict[str, tuple[list[str] | None, list[str] | None]] = {
    "none": (None, None),
    "only the engine's": ([ID[:12]], None),
    "one and the engine's": (["gw", ID[:12]], ["gw"]),
    "the engine's host name is not kept": (["gw", ID[:12], "host-name"], ["gw"]),
    "a chosen one that is the host name is": (["host-name", ID[:12]], ["host-name"]),
    "an engine that adds none": (["gw"], ["gw"]),
}


@pytest.mark.parametrize(("aliases", "kept"), ALIASES.values(), ids=ALIASES)
def test_aliases_are_those_somebody_chose(aliases: list[str] | None, kept: list[str] | None) -> None:
    document = derived(
        config={"Hostname": "host-name"}, networks={"n": joined(Aliases=aliases)}, NetworkMode="n"
    )
    assert document["Networks"] == {"n": {**ENDPOINT, "Aliases": kept}}


@pytest.mark.parametrize(
    ("mode", "first"),
    [("two", "two"), ("n2", "two"), ("default", "bridge"), ("bridge", "bridge"), ("x", "one")],
)
def test_the_network_joined_at_creation_comes_first(mode: str, first: str) -> None:
    networks = {"one": joined(), "two": joined(NetworkID="n2"), "bridge": joined(NetworkID="n3")}
    document = derived(networks=networks, NetworkMode=mode)
    assert next(iter(document["Networks"])) == first
    assert [name for name, _ in adoption.further_networks(document)] == [n for n in networks if n != first]


def test_a_static_address_is_kept_and_a_given_one_is_not() -> None:
    fixed = {"IPv4Address": "10.0.0.9"}
    document = derived(networks={"n": joined(IPAMConfig=fixed, DriverOpts={"a": "b"}, Links=["db:db"])})
    assert document["Networks"]["n"] == {
        "IPAMConfig": fixed, "DriverOpts": {"a": "b"}, "Links": ["db:db"], "Aliases": None,
    }  # fmt: skip


RICH = derived(
    config={"Labels": {"team": "a", "dockmgr.plan": "old"}, "Env": ["GONE"], "User": "root"},
    networks={"net": joined(Aliases=["gw"]), "other": joined()},
    NetworkMode="net",
    Binds=["v:/data"],
)


def test_an_adopted_instance_is_rendered_from_what_was_kept() -> None:
    plan = PlanSpec("pro", "agent:9", cpus=2, memory=1, container_port=8080, env={"OF": "the plan"})
    instance = InstanceSpec("user1", "0.0.0.0", 1, env={"Z": "1", "A": "2"}, container="gw", adopted=RICH)
    spec = build(plan, instance)
    assert create_arguments(spec) == {
        "name": "gw",
        "config": {
            "User": "root",
            "Image": "agent:9",
            "Env": ["Z=1", "A=2", "GONE"],
            "Labels": {
                "team": "a",
                "dockmgr.managed": "true",
                "dockmgr.customer_id": "user1",
                "dockmgr.plan": "pro",
                "dockmgr.spec": spec.labels["dockmgr.spec"],
            },
            "HostConfig": RICH["HostConfig"],
            "NetworkingConfig": {"EndpointsConfig": {"net": {**ENDPOINT, "Aliases": ["gw"]}}},
        },
    }
    assert networks_to_join(spec) == [("other", ENDPOINT)]


def test_the_hash_of_an_adopted_spec_knows_what_was_kept_and_its_repr_does_not_show_it() -> None:
    plan = PlanSpec("pro", "agent:9", cpus=2, memory=1, container_port=8080)
    one, other = (
        build(plan, InstanceSpec("user1", "0.0.0.0", 1, container="gw", adopted={**RICH, "Config": config}))
        for config in ({"Cmd": [SECRET]}, {"Cmd": ["other"]})
    )
    assert one.labels["dockmgr.spec"] != other.labels["dockmgr.spec"]
    assert SECRET not in repr(one)
