"""What an engine chose is asked for again, and what can't be is named."""

from __future__ import annotations

from typing import Any

import pytest

from instances.containers import adoption
from instances.containers.replacement import warnings
from instances.containers.spec import InstanceSpec, PlanSpec, build
from instances.engine.payloads import create_arguments
from tests.pure.container_samples import IMAGE, a_container, derived, joined

CHOSEN = "02:42:de:ad:be:ef"
PLAN = PlanSpec("pro", "agent:9", cpus=2, memory=1, container_port=8080)
LOOPBACK = {"HostIp": "127.0.0.1", "HostPort": ""}


def told(document: dict[str, Any], port: int = 32768) -> dict[str, Any]:
    instance = InstanceSpec("user1", "0.0.0.0", port, container="gw", adopted=document)
    config: dict[str, Any] = create_arguments(build(PLAN, instance))["config"]
    return config


@pytest.mark.parametrize(
    ("mac", "network", "kept"),
    [
        (CHOSEN, joined(IPAddress="172.17.0.2"), CHOSEN),
        (CHOSEN.upper(), joined(), CHOSEN),
        ("02:42:ac:11:00:02", joined(IPAddress="172.17.0.2"), None),
        ("", joined(MacAddress="00:1b:44:11:3a:b7"), "00:1b:44:11:3a:b7"),
        ("", joined(MacAddress="96:80:1f:22:3a:b7"), None),
        ("", joined(MacAddress=""), None),
        (None, joined(MacAddress="odd"), None),
    ],
)
def test_a_chosen_hardware_address_is_kept_and_one_the_engine_made_is_not(
    mac: str | None, network: dict[str, Any], kept: str | None
) -> None:
    document = derived(config={"MacAddress": mac}, networks={"net": network}, NetworkMode="net")
    assert document.get("MacAddress") == kept
    config = told(document)
    assert config.get("MacAddress") == kept
    assert config["NetworkingConfig"]["EndpointsConfig"]["net"].get("MacAddress") == kept


@pytest.mark.parametrize(
    ("actual", "fields"), [(CHOSEN, []), ("", []), ("02:42:0a:00:00:09", ["MacAddress"])]
)
def test_another_hardware_address_than_the_chosen_one_is_drift(actual: str, fields: list[str]) -> None:
    usual: dict[str, Any] = {"config": {"MacAddress": CHOSEN}, "NetworkMode": "net"}
    document = derived(networks={"net": joined(MacAddress=CHOSEN)}, **usual)
    found = a_container(networks={"net": joined(MacAddress=actual)}, NetworkMode="net")
    assert adoption.drift(document, found) == fields


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        (
            {"PortBindings": {"8080/tcp": [LOOPBACK]}},
            {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "32768"}]},
        ),
        ({"PublishAllPorts": True}, {"8080/tcp": [{"HostIp": "", "HostPort": "32768"}]}),
        (
            {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "1"}], "9/tcp": [LOOPBACK]}},
            {"8080/tcp": [{"HostIp": "", "HostPort": "1"}], "9/tcp": [LOOPBACK]},
        ),
    ],
)
def test_the_port_the_engine_chose_is_asked_for_by_number_and_that_is_no_drift(
    host: dict[str, Any], asked: dict[str, Any]
) -> None:
    document = {**derived(**host), "Port": 8080}
    config = told(document)
    assert config["HostConfig"]["PortBindings"] == asked
    replaced = a_container(**config["HostConfig"])
    assert adoption.drift(document, replaced) == []
    assert adoption.drift(document, a_container(**host)) == []


def test_a_port_that_was_asked_for_by_number_and_is_another_one_is_drift() -> None:
    document = derived(PortBindings={"8080/tcp": [{"HostIp": "", "HostPort": "1"}]})
    other = a_container(PortBindings={"8080/tcp": [{"HostIp": "", "HostPort": "2"}]})
    assert adoption.drift(document, other) == ["HostConfig.PortBindings"]


def test_ports_that_a_replacement_moves_are_named_but_for_the_one_that_is_kept() -> None:
    bindings = {"8080/tcp": [LOOPBACK], "9/tcp": [{"HostPort": "9"}], "10/tcp": [LOOPBACK]}
    document = {**derived(PortBindings=bindings, Binds=["data:/data"]), "Port": 8080}
    found = ["8080/tcp", "8080/udp", "9/tcp", "10/tcp"]
    assert [text.partition(":")[0] for text in warnings(document, found)] == [
        "The engine chose the host's port for 10", "The engine chose the host's port for 8080/udp",
    ]  # fmt: skip
    everything = a_container(PublishAllPorts=True, Binds=["data:/data"])
    document = {**adoption.derive(everything, IMAGE), "Port": 8080}
    assert len(list(warnings(document, ["8080/tcp", "1/tcp", "2/tcp"]))) == 2


@pytest.mark.parametrize(
    ("host", "is_told"),
    [
        ({}, True),
        ({"Tmpfs": {"/tmp": ""}}, True),
        ({"Binds": ["data:/data"]}, False),
        ({"Binds": ["/srv/c1:/data"]}, False),
        ({"Mounts": [{"Type": "volume", "Source": "data", "Target": "/data"}]}, False),
        ({"VolumesFrom": ["other"]}, False),
    ],
)
def test_what_mounts_nothing_keeps_nothing(host: dict[str, Any], *, is_told: bool) -> None:
    told = list(warnings(derived(**host), []))
    assert [text.partition(":")[0] for text in told] == (["It mounts nothing"] if is_told else [])
