"""Customers reach neither each other nor the host nor what is link-local, and a host says if it is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.demo_image import build
from dev.servers import docker_engine
from tests.real.fleet import Fleet, a_fleet, document
from tests.real.namespace import METADATA, Namespace, a_machine_in_a_cloud

pytestmark = pytest.mark.real
MANUAL = Path(__file__).resolve().parents[2] / "docs" / "production.md"
IMAGE = "dockmgr-test-apart:1"
PORT = 8080  # of every customer's container


def documented(chain: str) -> list[str]:
    """The rules of the manual whose first one is for this chain."""
    blocks = re.findall(r"```\n(iptables .+?)```", MANUAL.read_text(), re.DOTALL)
    [rules] = [block for block in blocks if f"-I {chain} " in block.splitlines()[0]]
    return list(rules.splitlines())


@contextmanager
def two_customers(tmp_path: Path, broker_url: str, machine: Namespace, *, filtering: bool) -> Iterator[Fleet]:
    own = {"bridge": "", "iptables": filtering}
    with (
        docker_engine(tmp_path, {}, settings=own, within=machine.within) as server,
        a_fleet(tmp_path / "home", server.url, broker_url, IMAGE, health={"kind": "none"}) as fleet,
    ):
        build(server.url, IMAGE)
        fleet.provision_all("a", "b")
        yield fleet


def reached(fleet: Fleet) -> dict[str, bool]:
    """What the container of customer a gets a connection to."""
    [place] = fleet.container("b").attrs["NetworkSettings"]["Networks"].values()
    targets = {
        "neighbours": (place["IPAddress"], PORT),
        "host": (place["Gateway"], fleet.instances()["b"]["port"]),
        "link_local": (METADATA, 80),
    }
    words = "nc -w 2 {} {} -e true"
    container = fleet.container("a")
    return {
        name: container.exec_run(words.format(*target).split())[0] == 0 for name, target in targets.items()
    }


def enforced(fleet: Fleet, code: int) -> dict[str, bool]:
    """What the command says of the same three ways."""
    checks = document(fleet.run("validate_host", "local", "--json"), code)["checks"]
    ways = [check for check in checks if check["name"].startswith("isolation_")]
    assert all(check["ok"] or "isolation is not enforced" in check["message"] for check in ways), ways
    return {check["name"].removeprefix("isolation_"): check["ok"] for check in ways}


@pytest.mark.thorough
@pytest.mark.parametrize(("filtering", "chain"), [(True, "DOCKER-USER"), (False, "FORWARD")])
def test_customers_are_apart_by_the_rules_of_the_manual(
    tmp_path: Path, broker_url: str, filtering: bool, chain: str
) -> None:
    with (
        a_machine_in_a_cloud() as machine,
        two_customers(tmp_path, broker_url, machine, filtering=filtering) as fleet,
    ):
        before = {"neighbours": not filtering, "host": True, "link_local": True}
        assert {way: not is_so for way, is_so in enforced(fleet, 1).items()} == before
        left = [str(each.name) for each in fleet.docker.containers.list(all=True)]
        assert all("probe" not in name for name in left) and len(fleet.docker.images.list()) == 1
        if filtering:
            assert reached(fleet) == {**before, "host": False}  # published on loopback
        for rule in documented(chain):
            machine.must(rule)
        assert set(enforced(fleet, 0).values()) == {True}
        assert set(reached(fleet).values()) == {False}
