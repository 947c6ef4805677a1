"""Processes killed at every step of an update and of a provisioning: the next one ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dockmgr.local.demo_image import build
from dockmgr.local.servers import EngineServer, docker_engine
from instances.operations import overlapping, provisioning, updating
from instances.operations.runner import Procedure
from tests.real.fleet import ROOT, Fleet, a_fleet
from tests.real.live import wait_until

pytestmark = pytest.mark.real

TWO_MINUTES = 120
GATE = "wait until healthy"
OLD, GOOD, BAD = "dockmgr-killed:1.0.0", "dockmgr-killed:2.0.0", "dockmgr-killed:2.0.1"
MANY_AT_ONCE = ("-P", "threads", "-c", "40")
HELD = (
    "SELECT 1 FROM instances_operation"
    " WHERE finished_at IS NULL AND lease_expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')"
)
Order = dict[str, Any]
MakeFleet = Callable[..., Fleet]


@dataclass(frozen=True)
class Images:
    """Ids of an image to begin with, a better one, and one that answers 503."""

    old: str
    good: str
    bad: str


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """A private engine: nobody else's load makes gates fail."""
    with docker_engine(tmp_path_factory.mktemp("own-engine"), {}) as server:
        yield server


@pytest.fixture(scope="module")
def images(own_engine: EngineServer) -> Images:
    made = [
        build(own_engine.url, tag, version=tag.partition(":")[2], environment=environment)
        for tag, environment in ((OLD, {}), (GOOD, {"BOOT_SECONDS": "1"}), (BAD, {"MODE": "503"}))
    ]
    return Images(*made)


@pytest.fixture
def make_fleet(home: Path, own_engine: EngineServer, broker_url: str, images: Images) -> Iterator[MakeFleet]:
    with ExitStack() as stack:

        def make(**plan: Any) -> Fleet:
            wanted = {"start_grace": 2, "stop_timeout": 3, **plan}
            return stack.enter_context(a_fleet(home, own_engine.url, broker_url, OLD, **wanted))

        yield make


def carried_out(fleet: Fleet, orders: list[Order]) -> list[str]:
    """Carry each order out in a process of its own; returns how each of them ended."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.real.killing"], cwd=ROOT, env=fleet.environ, input=json.dumps(orders),
        capture_output=True, text=True, timeout=TWO_MINUTES, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ends: list[str] = json.loads(done.stdout)
    return ends


def provisioned(fleet: Fleet, names: Iterable[str]) -> dict[str, str]:
    """Provision customers in processes side by side; returns their containers' ids."""
    names = list(names)
    orders = [{"kind": "provision", "customer_id": fleet.customer(name), "env": {}} for name in names]
    assert carried_out(fleet, orders) == ["ended 0"] * len(names)
    return {name: str(fleet.container(name).id) for name in names}


def steps_of(procedure: Procedure, prefix: str) -> dict[str, str]:
    """A customer's short name for each step."""
    return {f"{prefix}{number}": step.name for number, step in enumerate(procedure.steps)}


def undo_steps_of(procedure: Procedure, prefix: str) -> dict[str, str]:
    undone = [step.name for step in procedure.steps if step.undo]
    return {f"{prefix}{number}": f"undo {name}" for number, name in enumerate(undone)}


def an_update(fleet: Fleet, name: str, image: str, step: str, **stop: Any) -> Order:
    order = {"kind": "update", "customer_id": fleet.customer(name), "image": image, "step": step}
    return {**order, "recorded": False, **stop}


def recovered_by_a_worker(fleet: Fleet) -> None:
    with fleet.worker(*MANY_AT_ONCE), fleet.beat():
        wait_until(lambda: fleet.unfinished() == 0, TWO_MINUTES)


def all_is_well(fleet: Fleet, names: Iterable[str]) -> None:
    """One container, one port, and healthy: each of these customers, and nobody else."""
    names = sorted(names)
    assert fleet.unfinished() == 0
    assert fleet.containers() == names
    assert fleet.json("check_health", "--all")["healthy"] == len(names)
    assert fleet.sql("SELECT count(*) FROM instances_port") == [(len(names),)]
    recorded = fleet.sql("SELECT customer_id, container_id FROM instances_instance")
    assert {fleet.customer(name): fleet.container(name).id for name in names} == dict(recorded)


def ends(fleet: Fleet, kind: str) -> dict[str, tuple[str, str]]:
    """Status and image of each customer after an operation of this kind."""
    rows = fleet.sql(f"SELECT customer_id, status FROM instances_operation WHERE kind = '{kind}'")
    short = {str(customer).removeprefix(f"{fleet.prefix}-"): str(status) for customer, status in rows}
    return {
        name: (status, str(fleet.container(name).attrs["Image"]) if name in fleet.containers() else "")
        for name, status in short.items()
    }


def test_an_update_killed_at_every_step_is_ended_by_a_worker(make_fleet: MakeFleet, images: Images) -> None:
    fleet = make_fleet()
    forth = steps_of(updating.PROCEDURE, "forth")
    back = undo_steps_of(updating.PROCEDURE, "back")
    before = provisioned(fleet, [*forth, *back])
    for name in before:
        fleet.inside(name, "echo precious >/data/kept")
    orders = [an_update(fleet, name, GOOD, step) for name, step in forth.items()]
    orders += [an_update(fleet, name, BAD, step) for name, step in back.items()]
    assert carried_out(fleet, orders) == ["killed"] * len(orders)
    assert fleet.unfinished() == len(orders)
    recovered_by_a_worker(fleet)
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {
        **dict.fromkeys(forth, ("succeeded", images.good)),
        **dict.fromkeys(back, ("rolled_back", images.old)),
    }
    assert {name: fleet.container(name).id for name in back} == {name: before[name] for name in back}
    assert all(fleet.inside(name, "cat /data/kept") == "precious\n" for name in before)
    assert fleet.volumes() == sorted(f"{name}-data" for name in before)


def test_a_start_first_update_killed_at_every_step_is_ended_by_a_worker(
    make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet(data_path=None, update_strategy="start_first")
    forth = steps_of(overlapping.PROCEDURE, "forth")
    back = undo_steps_of(overlapping.PROCEDURE, "back")
    before = provisioned(fleet, [*forth, *back])
    orders = [an_update(fleet, name, GOOD, step, recorded=True) for name, step in forth.items()]
    orders += [an_update(fleet, name, BAD, step, recorded=True) for name, step in back.items()]
    assert carried_out(fleet, orders) == ["killed"] * len(orders)
    recovered_by_a_worker(fleet)
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {
        **dict.fromkeys(forth, ("succeeded", images.good)),
        **dict.fromkeys(back, ("rolled_back", images.old)),
    }
    assert {name: fleet.container(name).id for name in back} == {name: before[name] for name in back}


def test_a_provisioning_killed_at_every_step_leaves_one_of_everything_or_nothing(
    make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet()
    forth = steps_of(provisioning.PROCEDURE, "forth")
    back = undo_steps_of(provisioning.PROCEDURE, "back")
    orders = [
        {
            "kind": "provision",
            "customer_id": fleet.customer(name),
            "env": {"MODE": "503"} if name in back else {},
            "step": step,
            "recorded": False,
        }
        for name, step in {**forth, **back}.items()
    ]
    assert carried_out(fleet, orders) == ["killed"] * len(orders)
    recovered_by_a_worker(fleet)
    all_is_well(fleet, forth)
    assert ends(fleet, "provision") == {
        **dict.fromkeys(forth, ("succeeded", images.old)),
        **dict.fromkeys(back, ("failed", "")),
    }
    assert fleet.volumes() == sorted(f"{name}-data" for name in forth)
    assert all(fleet.boots(name) == 1 for name in forth)


def test_the_next_command_ends_what_a_killed_command_had_begun(make_fleet: MakeFleet, images: Images) -> None:
    fleet = make_fleet()
    provisioned(fleet, ["one"])
    who = ("--customer-id", fleet.customer("one"))
    with fleet.command("update", *who, "--image", GOOD) as command:
        wait_until(lambda: fleet.at_step("one", GATE), 30)
        command.kill()
        command.wait()
    wait_until(lambda: fleet.sql(HELD) == [], 15)
    row = fleet.json("update", *who)
    assert (row["status"], row["changed"], row["image_after"]) == ("succeeded", False, images.good)
    all_is_well(fleet, ["one"])
    assert ends(fleet, "update") == {"one": ("succeeded", images.good)}


def test_a_new_worker_ends_the_updates_a_killed_worker_had_begun(
    make_fleet: MakeFleet, images: Images
) -> None:
    fleet = make_fleet()
    before = provisioned(fleet, ["forth", "back"])
    with fleet.worker() as worker, fleet.stranger() as app:
        for name, image in (("forth", GOOD), ("back", BAD)):
            app.send_task("dockmgr.update", kwargs={"customer_id": fleet.customer(name), "image": image})
        wait_until(lambda: fleet.at_step("forth", "watch") and fleet.at_step("back", GATE), 30)
        worker.kill()
        worker.wait()
    assert fleet.unfinished() == 2
    recovered_by_a_worker(fleet)
    all_is_well(fleet, before)
    assert ends(fleet, "update") == {"forth": ("succeeded", images.good), "back": ("rolled_back", images.old)}
    assert fleet.container("back").id == before["back"]
