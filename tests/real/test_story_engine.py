"""An engine goes away and comes back: nobody is blamed, nothing is restarted for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.demo_image import build
from dev.servers import EngineServer
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import TAG, wait_until
from tests.real.tried_engine import an_engine

GATE = "wait until healthy"
NAMES = ("calm", "killed", "wedged")
# Of all incidents, whether it is over unless its host fails again soon.
GRACE = "SELECT resolve_at IS NOT NULL FROM instances_incident"


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """A private engine, which may be stopped whatever engine the other tests share."""
    with an_engine(tmp_path_factory.mktemp("own-engine"), {}) as server:
        build(server.url, TAG)
        yield server


@pytest.fixture
def fleet(home: Path, own_engine: EngineServer, broker_url: str) -> Iterator[Fleet]:
    environ = {"DOCKMGR_RECHECK_INTERVAL": "3"}
    with a_fleet(home, own_engine.url, broker_url, TAG, environ=environ, start_grace=10) as fleet:
        yield fleet


def exit_codes_without_engine(fleet: Fleet) -> dict[str, int]:
    who = ("--customer-id", fleet.customer("calm"))
    commands = (("restart", *who), (*fleet.order("new"), "--host", "local"), ("logs", *who))
    results = fleet.run_all(*((*words, "--json") for words in commands))
    assert all(json.loads(done.stdout)["error"] for done in results)
    assert not any("Traceback" in done.stderr for done in results)
    assert [done.returncode for done in results] == [3, 3, 3], [done.stdout for done in results]
    return {done.args[2]: done.returncode for done in results}


def sweep_that_loses_its_engine(fleet: Fleet, server: EngineServer) -> tuple[dict[str, Any], dict[str, int]]:
    """The engine is stopped while one instance is under suspicion and another one in its restart.

    Returns the sweep's report, and the exit codes of the sweep and of commands given after that.
    """
    log = fleet.home / "sweep.json"
    with fleet.command("daily_health", "--json", log=log) as sweep:
        wait_until(lambda: fleet.at_step("killed", GATE) and fleet.health()["wedged"] == "suspect")
        server.stop()
        wait_until(lambda: not fleet.unfinished("calm"))  # the sweep may have seen it stop with its engine
        codes = exit_codes_without_engine(fleet)
        codes["daily_health"] = sweep.wait(timeout=120)
    return json.loads(log.read_text().splitlines()[-1]), codes


@pytest.mark.thorough
def test_an_engine_that_goes_away_is_nobodys_failure(fleet: Fleet, own_engine: EngineServer) -> None:
    fleet.provision_all(*NAMES, BOOT_SECONDS="4")
    fleet.switch("wedged", "hang")
    fleet.container("killed").kill()
    try:
        report, codes = sweep_that_loses_its_engine(fleet, own_engine)
        failures = fleet.health("failures")
        blind = fleet.json("daily_health", code=3)
        assert (blind["unknown"], blind["restarted"]) == (3, [])
        assert fleet.health("failures") == failures
    finally:
        own_engine.start()
    back = fleet.json("daily_health")
    assert (back["healthy"], back["restarted"]) == (3, [])
    assert fleet.health("restarts_used") == dict.fromkeys(NAMES, 0)
    assert [row["automatic"] for row in fleet.operations("wedged")] == [False]
    assert codes == {"restart": 3, "provision": 3, "logs": 3, "daily_health": 3}
    assert {check["customer_id"]: check["reason"] for check in report["instances"]} == {
        fleet.customer(name): "engine" for name in NAMES
    }


@pytest.mark.thorough
def test_a_restart_outlasts_an_engine_that_is_frozen(
    home: Path, own_engine: EngineServer, broker_url: str, database: str
) -> None:
    environ = {
        "DOCKMGR_RECHECK_INTERVAL": "2", "DOCKMGR_SWEEP_INTERVAL": "10", "DOCKMGR_ENGINE_TIMEOUT": "3",
        "DOCKMGR_LEASE": "10", "DOCKMGR_HOST_INTERVAL": "5",
    }  # fmt: skip
    with a_fleet(home, own_engine.url, broker_url, TAG, database_url=database, environ=environ) as fleet:
        fleet.provision_all("calm", "restarted", BOOT_SECONDS="4")
        before = fleet.container("calm").id
        with fleet.worker(), fleet.beat(), fleet.stranger() as app:
            wait_until(lambda: set(fleet.health().values()) == {"healthy"})
            with own_engine.frozen():
                app.send_task("dockmgr.restart", kwargs={"customer_id": fleet.customer("restarted")})
                wait_until(lambda: fleet.at_step("restarted", "stop") and fleet.sql(GRACE) == [(False,)])
            wait_until(lambda: not fleet.unfinished() and set(fleet.health().values()) == {"healthy"}, 120)
            wait_until(lambda: fleet.sql(GRACE) == [(True,)], 120)
        [operation] = fleet.restarts("restarted")
        assert (operation["status"], operation["error"]) == ("succeeded", None)
        assert fleet.sql("SELECT DISTINCT kind FROM instances_incident") == [("host",)]
        assert fleet.health("restarts_used") == {"calm": 0, "restarted": 0}
        assert (fleet.container("calm").id, len(fleet.containers())) == (before, 2)
