"""With sweeps hours apart, what dies, is removed, stopped or wedged is well again within seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet, all_healthy, end
from tests.real.live import wait_until

pytestmark = pytest.mark.real
MB = 1024**2
NAMES = ("killed", "removed", "stopped")
SWEEPS = {"DOCKMGR_SWEEP_INTERVAL": "86400"}
RARELY = {**SWEEPS, "DOCKMGR_EVENTS": "1", "DOCKMGR_USAGE_INTERVAL": "1"}
DEAF = {**SWEEPS, "DOCKMGR_LOOK_INTERVAL": "4", "DOCKMGR_LIST_INTERVAL": "1",
        "DOCKMGR_HISTORY_EVERY": "100000000"}  # fmt: skip


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    plan: dict[str, Any] = {
        "start_grace": 8,
        "shm_size": "256m",
        "log_alerts": [{"match": "ERROR .* quota", "more_than": 3, "within": "5m"}],
    }
    with a_fleet(home, docker_url, broker_url, demo_image, environ=RARELY, **plan) as fleet:
        yield fleet


def follower(fleet: Fleet) -> str:
    rows = fleet.sql("SELECT events_by FROM instances_hostwatch")
    return str(rows[0][0]) if rows else ""


def writes(fleet: Fleet, name: str, times: int) -> None:
    """A program in a customer's container writes so many lines that its plan warns of, and others."""
    fleet.inside(name, f"for n in $(seq {times}); do echo ERROR $n quota; echo fine; done >/proc/1/fd/1")


def told_of_logs(fleet: Fleet) -> list[str]:
    rows = fleet.sql("SELECT customer_id FROM instances_incident WHERE kind = 'log' ORDER BY customer_id")
    return [str(customer).removeprefix(f"{fleet.prefix}-") for (customer,) in rows]


def eats(fleet: Fleet, name: str, up_to: int) -> None:
    """A program in a customer's container takes memory until its container holds so many bytes."""
    container = fleet.container(name)
    used = container.stats(stream=False)["memory_stats"]["usage"]
    megabytes = max(1, (up_to - used) // MB)
    script = f"/bin/busybox dd if=/dev/zero bs=1M count={megabytes} >>/dev/shm/eaten"
    container.exec_run(["/bin/sh", "-c", script])


def last_words_of_crash(fleet: Fleet) -> list[str]:
    """What was kept of who ended by itself with exit code 1."""
    for incident in fleet.json("incidents", "--events"):
        if any(event["text"].startswith("ended with exit code 1;") for event in incident["events"]):
            return [line for kept in incident["last_words"][-1:] for line in kept["lines"]]
    return []


def dies_first(fleet: Fleet, name: str) -> None:
    """The kernel, when it has to kill something in a customer's container, chooses its first process."""
    container = fleet.container(name)
    Path(f"/proc/{container.attrs['State']['Pid']}/oom_score_adj").write_text("1000")


@pytest.mark.thorough
def test_what_eats_memory_is_warned_of_before_it_dies_and_its_end_is_explained(fleet: Fleet) -> None:
    fleet.provision_all("greedy")
    with fleet.worker():
        fleet.inside("greedy", "echo I am hungry >/proc/1/fd/1")
        eats(fleet, "greedy", 40 * MB)
        eats(fleet, "greedy", 61 * MB)
        warnings = "SELECT cause FROM instances_incident WHERE kind = 'resources' AND resolved_at IS NULL"
        wait_until(lambda: fleet.sql(warnings) == [("memory",)])
        assert not fleet.restarted("greedy")
        fleet.container("greedy").kill()
        wait_until(lambda: bool(fleet.restarted("greedy")))
        all_healthy(fleet)
        incidents = fleet.json("incidents", "--events")
        dies_first(fleet, "greedy")
        eats(fleet, "greedy", 80 * MB)  # more than it may have
        # The engine starts it again at once, which is told; now and then dockmgr is quicker, and goes on with
        # the incident of before.
        ooms = "SELECT 1 FROM instances_incident WHERE cause = 'oom'"
        wait_until(lambda: bool(fleet.sql(ooms)) or len(fleet.restarted("greedy")) == 2)
        all_healthy(fleet)
    [incident] = [row for row in incidents if row["kind"] == "instance"]
    [used] = [event["text"] for event in incident["events"] if event["kind"] == "resources"]
    assert re.match(r"at (5[89]|6\d)(\.\d)? MB of 64 MB of memory when it died", used)
    assert "I am hungry" in [line for kept in incident["last_words"] for line in kept["lines"]]


def test_what_dies_is_healed_without_a_sweep_and_by_whoever_is_left(fleet: Fleet) -> None:
    fleet.provision_all(*NAMES)
    with fleet.worker() as first:
        wait_until(lambda: bool(follower(fleet)))
        leader = follower(fleet)
        fleet.container("killed").kill()
        wait_until(lambda: bool(fleet.restarted("killed")))
        fleet.container("removed").remove(force=True)
        fleet.container("stopped").stop(timeout=1)
        wait_until(lambda: bool(fleet.restarted("removed") and fleet.restarted("stopped")))
        all_healthy(fleet)
        fleet.switch("killed", "exit")  # its engine starts it again
        wait_until(lambda: bool(last_words_of_crash(fleet)))
        assert "/mode/exit" in "".join(last_words_of_crash(fleet)[-2:]), "not what it wrote since"
        # A child of it asks for more than its container may have, and the kernel kills the child.
        fleet.container("stopped").exec_run(
            ["/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", f"bs={2**30}", "count=1"]
        )
        warned = "SELECT message FROM instances_incident WHERE cause = 'oom'"
        wait_until(lambda: bool(fleet.sql(warned)))
        assert "its container goes on without it" in str(fleet.sql(warned))
        writes(fleet, "removed", 2)
        writes(fleet, "stopped", 4)
        wait_until(lambda: told_of_logs(fleet) == ["stopped"])
        with fleet.worker():
            end(first)
            wait_until(lambda: follower(fleet) not in ("", leader))
            fleet.container("killed").kill()
            wait_until(lambda: len(fleet.restarted("killed")) == 2)
            all_healthy(fleet)
            writes(fleet, "removed", 2)  # with what it wrote before another process followed it
            wait_until(lambda: told_of_logs(fleet) == ["removed", "stopped"])
    assert fleet.health("restarts_used") == {"killed": 2, "removed": 1, "stopped": 1}
    assert not fleet.sql("SELECT 1 FROM instances_sweep")


@pytest.mark.thorough
def test_without_events_lists_find_what_died_and_looks_what_is_wedged(
    home: Path, docker_url: str, broker_url: str, demo_image: str
) -> None:
    with a_fleet(home, docker_url, broker_url, demo_image, environ=DEAF, start_grace=8) as fleet:
        fleet.provision_all("removed", "wedged", "well")
        checks = "SELECT count(*) FROM instances_check"
        with fleet.worker(), fleet.worker():
            fleet.container("removed").remove(force=True)
            fleet.switch("wedged", "hang")
            wait_until(lambda: bool(fleet.restarted("removed") and fleet.restarted("wedged")))
            all_healthy(fleet)
            rounds = "SELECT at FROM instances_pulse WHERE name = 'looks'"
            seen, rows = fleet.sql(rounds), fleet.sql(checks)
            wait_until(lambda: fleet.sql(rounds) > seen)
            later = fleet.sql(rounds)
            wait_until(lambda: fleet.sql(rounds) > later)
            assert fleet.sql(checks) == rows, "who is well leaves no history"
        assert not fleet.sql("SELECT 1 FROM instances_sweep")
