"""Operations carried out by processes that are killed, or halted while something breaks, at every step."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dev.demo_image import build
from instances.operations.procedure import Procedure
from tests.real.fleet import Fleet
from tests.real.live import wait_until

TWO_MINUTES = 120
BUSY_GRACE = 15  # seconds: many programs boot at once, beside other tests
GATE = "wait until healthy"
OLD, GOOD, BAD = "dockmgr-killed:1.0.0", "dockmgr-killed:2.0.0", "dockmgr-killed:2.0.1"
MANY_AT_ONCE = ("-P", "threads", "-c", "40")
HELD = (
    "SELECT 1 FROM instances_operation"
    " WHERE finished_at IS NULL AND lease_expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')"
)
Order = dict[str, Any]


@dataclass(frozen=True)
class Images:
    """Ids of an image to begin with, a better one, and one that answers 503."""

    old: str
    good: str
    bad: str


def build_images(docker_url: str, boot_seconds: float = 1) -> Images:
    """`OLD`, `GOOD`, which takes its time to boot, and `BAD` on an engine of our own."""
    slowly = {"BOOT_SECONDS": f"{boot_seconds:g}"}
    kinds: dict[str, dict[str, str]] = {OLD: {}, GOOD: slowly, BAD: {"MODE": "503"}}
    return Images(*(build(docker_url, tag, version=tag[-5:], environment=env) for tag, env in kinds.items()))


def nothing() -> None:
    """Nothing breaks."""


def carried_out(fleet: Fleet, orders: list[Order], breaks: Callable[[], object] = nothing) -> list[str]:
    """Carry each order out in a process of its own; returns how each of them ended.

    `breaks` is called when all that are to halt have halted; they go on after it.
    """
    ours, theirs = socket.socketpair()
    said = fleet.home / "killing.log"
    with ours:
        with theirs, open(said, "ab") as log:
            streams = [theirs.fileno(), theirs.fileno(), log.fileno()]
            process = fleet.commands.start("-m", "tests.real.killing", streams=streams)
        try:
            ends = _through(ours, orders, breaks)
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
    assert "ended 1" not in ends, said.read_text()
    return ends


def _through(harness: socket.socket, orders: list[Order], breaks: Callable[[], object]) -> list[str]:
    with harness.makefile("rw") as lines:
        print(json.dumps(orders), file=lines, flush=True)
        assert lines.readline() == "halted\n", "see killing.log"
        breaks()
        print("go on", file=lines, flush=True)
        harness.settimeout(TWO_MINUTES)
        ends: list[str] = json.loads(lines.read())
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


def a_provisioning(fleet: Fleet, name: str, step: str, env: dict[str, str], **stop: Any) -> Order:
    order = {"kind": "provision", "customer_id": fleet.customer(name), "env": env, "step": step}
    return {**order, "recorded": False, **stop}


def recovered_by_a_worker(fleet: Fleet) -> None:
    with fleet.worker(*MANY_AT_ONCE), fleet.beat():
        wait_until(lambda: fleet.unfinished() == 0, TWO_MINUTES)


def all_is_well(fleet: Fleet, names: Iterable[str]) -> None:
    """One container, one port, and healthy: each of these customers, and nobody else."""
    names = sorted(names)
    assert fleet.unfinished() == 0
    assert fleet.containers() == names
    down = {name for name, status in fleet.health().items() if status != "healthy"}
    assert not down, {name: fleet.operations(name) for name in down}
    assert fleet.json("check_health", "--all")["healthy"] == len(names)
    assert fleet.sql("SELECT count(*) FROM instances_port") == [(len(names),)]
    recorded = fleet.sql("SELECT customer_id, container_id FROM instances_instance")
    assert {fleet.customer(name): fleet.container(name).id for name in names} == dict(recorded)


def ends(fleet: Fleet, kind: str) -> dict[str, tuple[str, str]]:
    """Status and image of each customer after an operation of this kind; the reasons are printed."""
    rows = fleet.sql(f"SELECT customer_id, status, error FROM instances_operation WHERE kind = '{kind}'")
    print(*(row for row in rows if row[2]), sep="\n")
    short = {str(customer).removeprefix(f"{fleet.prefix}-"): str(status) for customer, status, _ in rows}
    return {
        name: (status, str(fleet.container(name).attrs["Image"]) if name in fleet.containers() else "")
        for name, status in short.items()
    }
