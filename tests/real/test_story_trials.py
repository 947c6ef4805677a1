"""Test deployments on a real engine: through everything a customer's goes through, and then no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.real.fleet import Fleet, a_fleet
from tests.real.images import Shelf
from tests.real.live import wait_until

pytestmark = pytest.mark.real

GATE = "wait until healthy"
STEPS = [
    "provision", "limits", "validate", "logs", "restart", "update", "decommission", "nothing left",
]  # fmt: skip


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, shelf: Shelf) -> Iterator[Fleet]:
    """One customer lives here already; the plans have their real limits."""
    image = shelf.push("lived-in", BOOT_SECONDS="1")
    with a_fleet(home, docker_url, broker_url, image, start_grace=5, cpus=2, memory="2g") as fleet:
        fleet.provision("neighbour")
        yield fleet


def everything(client: docker.DockerClient) -> dict[str, list[str]]:
    """All an engine has: containers, volumes, networks and images, of whoever's they are."""
    return {
        "containers": sorted(f"{c.id} {c.name} {c.status}" for c in client.containers.list(all=True)),
        "volumes": sorted(volume.name for volume in client.volumes.list()),
        "networks": sorted(f"{network.id} {network.name}" for network in client.networks.list()),
        "images": sorted(f"{i.id} {i.tags} {i.attrs['RepoDigests']}" for i in client.images.list()),
    }


def test_a_test_deployment_of_each_plan_leaves_the_engine_as_it_was(fleet: Fleet, shelf: Shelf) -> None:
    image = shelf.push("trial", DEMO_VERSION="9")
    before, host_cpus = everything(fleet.docker), fleet.docker.info()["NCPU"]
    for plan, cpus in (("free", 0.5), ("pro", 2), ("enterprise", 4)):
        fits = cpus <= host_cpus  # an engine refuses to promise more
        done = fleet.json("test_deploy", "--plan", plan, "--image", image, code=0 if fits else 1)
        went_as_it_should(done, fits)
        assert everything(fleet.docker) == before
    assert fleet.sql("SELECT count(*) FROM instances_instance") == [(1,)]


def went_as_it_should(done: dict[str, Any], fits: bool) -> None:
    assert (done["success"], [step["name"] for step in done["steps"]]) == (
        fits,
        STEPS if fits else ["provision", "nothing left"],
    )
    assert [step["error"] for step in done["steps"] if step["ok"]] == [None] * (len(STEPS) if fits else 1)
    assert fits or "CPUs available" in done["error"]


def test_a_test_deployment_of_a_broken_image_says_why_and_leaves_the_engine_as_it_was(
    fleet: Fleet, shelf: Shelf
) -> None:
    broken, absent = shelf.push("broken", MODE="exit"), shelf.ref("absent")
    before = everything(fleet.docker)
    for image, why in ((broken, "did not become healthy"), (absent, "absent")):
        done = fleet.json("test_deploy", "--plan", "pro", "--image", image, code=1)
        assert [(step["name"], step["ok"]) for step in done["steps"]] == [
            ("provision", False),
            ("nothing left", True),
        ]
        assert why in done["error"]
        assert everything(fleet.docker) == before
    assert fleet.sql("SELECT count(*) FROM instances_instance") == [(1,)]


def test_what_a_killed_test_deployment_left_is_removed_when_its_time_is_over(fleet: Fleet) -> None:
    before = everything(fleet.docker)
    with fleet.command("test_deploy", "--plan", "pro") as command:
        wait_until(lambda: trial_at(fleet, GATE))
        command.kill()
        command.wait()
    assert everything(fleet.docker) != before
    with fleet.worker(), fleet.beat():
        wait_until(lambda: fleet.unfinished() == 0)
        fleet.change(
            "UPDATE instances_instance SET expires_at = '2020-01-01 00:00:00' WHERE expires_at IS NOT NULL"
        )
        with fleet.stranger() as app:
            app.send_task("dockmgr.tidy_up", queue="health")
        wait_until(lambda: fleet.sql("SELECT count(*) FROM instances_instance") == [(1,)])
    assert everything(fleet.docker) == before
    removals = "SELECT status, requested_by FROM instances_operation WHERE kind = 'decommission'"
    assert fleet.sql(removals) == [("succeeded", "dockmgr")]


def trial_at(fleet: Fleet, step: str) -> bool:
    rows = fleet.sql(
        "SELECT CAST(steps AS TEXT) FROM instances_operation"
        " WHERE finished_at IS NULL AND customer_id LIKE 'test-%'"
    )
    steps = [entry for row in rows for entry in json.loads(row[0])]
    return any(entry["name"] == step and entry["status"] == "running" for entry in steps)
