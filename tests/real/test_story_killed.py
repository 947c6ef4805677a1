"""Processes are killed in the middle of their work, and it is finished once all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until

GATE = "wait until healthy"
TWO_MINUTES = 120
SLOW = {"BOOT_SECONDS": "15"}  # so long are steps under way, for all to be met in theirs
HELD = (
    "SELECT 1 FROM instances_operation"
    " WHERE finished_at IS NULL AND lease_expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')"
)


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    with a_fleet(home, docker_url, broker_url, demo_image, start_grace=25, stop_timeout=15) as fleet:
        yield fleet


def freeze(fleet: Fleet, name: str) -> None:
    """Stop the customer's program: it hears TERM no more, so stopping takes as long as the plan allows."""
    pids = [line.split()[0] for line in fleet.inside(name, "ps").splitlines() if "sh /srv/start.sh" in line]
    fleet.inside(name, f"kill -STOP {pids[-1]}")


def order_everything(fleet: Fleet) -> None:
    with fleet.stranger() as app:
        for name in ("gated", "stopping"):
            app.send_task("dockmgr.restart", kwargs={"customer_id": fleet.customer(name)})
        for name, env in (("born", SLOW), ("stillborn", {"MODE": "503", **SLOW})):
            customer = fleet.customer(name)
            order = {"customer_id": customer, "subdomain": f"{customer}.example.com", "plan": "pro"}
            app.send_task("dockmgr.provision", kwargs={**order, "env": env})


def test_a_new_worker_finishes_what_a_killed_one_had_begun(fleet: Fleet) -> None:
    fleet.provision_all("gated", "stopping", **SLOW)
    freeze(fleet, "stopping")
    places = {"gated": GATE, "stopping": "stop", "born": GATE, "stillborn": GATE}
    with fleet.worker() as worker:
        order_everything(fleet)
        wait_until(lambda: all(fleet.at_step(name, step) for name, step in places.items()))
        worker.kill()
        worker.wait()
    assert fleet.unfinished() == 4
    with fleet.worker(), fleet.beat():
        wait_until(lambda: fleet.unfinished() == 0, TWO_MINUTES)
    each_ended_once(fleet)


def each_ended_once(fleet: Fleet) -> None:
    assert fleet.health() == {"born": "healthy", "gated": "healthy", "stopping": "healthy"}
    assert {name: fleet.boots(name) for name in fleet.containers()} == {"born": 1, "gated": 2, "stopping": 2}
    for name in ("gated", "stopping"):
        assert [row["status"] for row in fleet.restarts(name)] == ["succeeded"]
    assert [row["status"] for row in fleet.operations("stillborn")] == ["failed"]
    assert fleet.volumes() == ["born-data", "gated-data", "stopping-data"]
    assert fleet.sql("SELECT count(*) FROM instances_port") == [(3,)]
    assert set(fleet.instances()) == {"born", "gated", "stopping"}


def test_the_next_command_finishes_what_a_killed_command_had_begun(fleet: Fleet) -> None:
    fleet.provision("one", BOOT_SECONDS="3")
    who = ("--customer-id", fleet.customer("one"))
    with fleet.command("restart", *who) as command:
        wait_until(lambda: fleet.at_step("one", GATE))
        command.kill()
        command.wait()
    wait_until(lambda: fleet.sql(HELD) == [])
    assert fleet.json("restart", *who)["status"] == "succeeded"
    assert [row["status"] for row in fleet.restarts("one")] == ["succeeded", "succeeded"]
    assert fleet.boots("one") == 3
