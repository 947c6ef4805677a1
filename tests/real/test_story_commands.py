"""An operator keeps a fleet alive with commands alone: no broker, no worker, no beat."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def fleet(tmp_path: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    environ = {"DOCKMGR_BROKER_URL": NOWHERE}
    with a_fleet(tmp_path, docker_url, broker_url, demo_image, environ=environ, start_grace=3) as fleet:
        yield fleet


def made_of(fleet: Fleet, name: str) -> dict[str, Any]:
    """What a container was told to be, without what every new one has of its own."""
    attrs = fleet.container(name).attrs
    config = {key: value for key, value in attrs["Config"].items() if key not in ("Hostname", "Image")}
    config["Labels"] = {k: v for k, v in config["Labels"].items() if k != "dockmgr.operation"}
    return {"image": attrs["Image"], "host": attrs["HostConfig"], "config": config}


def break_four(fleet: Fleet) -> None:
    fleet.container("killed").kill()
    fleet.switch("wedged", "hang")
    fleet.switch("erring", "503")
    fleet.inside("removed", "echo precious > /data/note")
    fleet.container("removed").remove(force=True)


def refused_meanwhile(fleet: Fleet) -> None:
    """Another attended sweep is refused while the first one runs."""
    wait_until(lambda: fleet.sql("SELECT 1 FROM instances_sweep WHERE state = 'running'") != [])
    second = fleet.run("daily_health", "--json")
    assert second.returncode == 1
    assert second.stderr.startswith("A sweep is already running") and second.stderr.count("\n") == 1
    assert json.loads(second.stdout) == {"error": second.stderr.strip()}


def test_one_sweep_heals_what_can_be_healed_and_gives_up_on_the_rest(fleet: Fleet) -> None:
    names = ["broken", "erring", "killed", "removed", "wedged"]
    fleet.provision_all(*names)
    before = made_of(fleet, "removed")
    healed_by_one_sweep(fleet, names)
    assert made_of(fleet, "removed") == before
    assert fleet.read("removed", "/data/note") == "precious\n"
    given_up_after_three_restarts(fleet)
    left_alone_afterwards(fleet)
    state_file_says_so(fleet, names)


def healed_by_one_sweep(fleet: Fleet, names: list[str]) -> None:
    break_four(fleet)
    report = fleet.json("daily_health")
    assert (report["healthy"], report["unhealthy"], report["unknown"]) == (5, 0, 0)
    assert [check["customer_id"] for check in report["instances"]] == [fleet.customer(n) for n in names]
    assert report["restarted"] == [fleet.customer(n) for n in names if n != "broken"]
    assert {name: fleet.boots(name) for name in names} == {n: 1 if n == "broken" else 2 for n in names}


def given_up_after_three_restarts(fleet: Fleet) -> None:
    fleet.inside("broken", "rm /srv/answer.sh")
    log = fleet.home / "first.json"
    with fleet.command("daily_health", "--json", log=log) as first:
        refused_meanwhile(fleet)
        assert first.wait(timeout=90) == 1
    report = json.loads(log.read_text().splitlines()[-1])
    assert (report["healthy"], report["unhealthy"]) == (4, 1)
    assert report["restarted"] == [fleet.customer("broken")]
    restarts = fleet.restarts("broken")
    assert [row["status"] for row in restarts] == ["failed"] * 3
    assert all(row["error"] and row["automatic"] for row in restarts)
    assert fleet.instances()["broken"]["status"] == "failed"


def left_alone_afterwards(fleet: Fleet) -> None:
    report = fleet.json("daily_health", code=1)
    assert report["restarted"] == []
    assert len(fleet.restarts("broken")) == 3
    assert fleet.boots("broken") == 4


def state_file_says_so(fleet: Fleet, names: list[str]) -> None:
    file = fleet.home / "state.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    state = json.loads(file.read_text())
    assert list(state) == ["lastHealthCheck", "instances"]
    assert set(state["instances"]) == {fleet.customer(name) for name in names}
    broken = state["instances"].pop(fleet.customer("broken"))
    assert broken["consecutiveFailures"] >= 3 and broken["lastHealthy"] < broken["lastRestart"]
    for one in state["instances"].values():
        assert one["consecutiveFailures"] == 0 and one["version"] == "1.0.0"
        assert one["lastRestart"] <= one["lastHealthy"] <= state["lastHealthCheck"]
