"""What the bridge of a host's customers is made of, and which network that is there will do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instances.containers.facts import EngineFacts, NetworkFacts
from instances.containers.networks import INTERFACES, options, refusal

ENGINE = EngineFacts("amd64", 4, 8 << 30, "/var/lib/docker", id="E1")
APART = {"com.docker.network.bridge.enable_icc": "false"}
OURS = {"dockmgr.managed": "true"}
FOUND = NetworkFacts("n1", "dockmgr", "bridge", APART, OURS)


def interface(name: str = "dockmgr", **engine: Any) -> str:
    return options(name, replace(ENGINE, **engine))["com.docker.network.bridge.name"]


def test_no_traffic_between_containers_and_an_interface_of_one_name_for_ever() -> None:
    made = options("dockmgr", ENGINE)
    assert made.items() >= APART.items()
    assert interface() == made["com.docker.network.bridge.name"] == interface()
    assert interface().startswith(INTERFACES) and len(interface()) == 15


def test_two_engines_of_one_machine_and_two_networks_of_an_engine_have_interfaces_of_their_own() -> None:
    # Engines may share an identity; the folder of their data they do not.
    assert len({interface(), interface(root="/other"), interface(id="E2"), interface("customers")}) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"options": {}}, ""),  # made by dockmgr on an engine that does not keep the option
        ({"labels": {}}, ""),
        ({"labels": {}, "options": {}}, "is not dockmgr's, and lets containers reach each other"),
        ({"labels": {}, "options": {next(iter(APART)): "true"}}, "is not dockmgr's"),
        ({"driver": "overlay"}, "is no bridge"),
        ({"internal": True}, "no bridge with a way out"),
    ],
)
def test_a_network_is_refused_for_what_it_lets_through(changes: dict[str, Any], words: str) -> None:
    refused = refusal(replace(FOUND, **changes))
    assert words in refused
    assert bool(words) == bool(refused)
