"""A container whose shim is stopped: its engine answers, and can do nothing with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet
from tests.real.shims import shim_and_programs

ENVIRON = {"DOCKMGR_ENGINE_TIMEOUT": "4"}


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    quick: dict[str, Any] = {"start_grace": 3, "stop_timeout": 1}
    with a_fleet(home, docker_url, broker_url, demo_image, environ=ENVIRON, **quick) as fleet:
        yield fleet


@contextmanager
def stopped(processes: list[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


@pytest.mark.thorough
def test_it_alone_is_blamed_and_comes_back(fleet: Fleet) -> None:
    fleet.provision_all("stuck", "killed", "well")
    with stopped(shim_and_programs(fleet.container("stuck"))):
        fleet.container("killed").kill()
        report = fleet.json("daily_health", code=1)
        assert fleet.health() == {"stuck": "failed", "killed": "healthy", "well": "healthy"}
        assert fleet.health("restarts_used") == {"stuck": 3, "killed": 1, "well": 0}
        tried = fleet.restarts("stuck")
    assert {row["status"] for row in tried} == {"failed"}
    assert all("its calls about this container do not" in row["error"] for row in tried), tried
    assert fleet.sql("SELECT count(*) FROM instances_incident WHERE kind <> 'instance'") == [(0,)]
    assert report["seconds"] < 150
    assert fleet.json("restart", "--customer-id", fleet.customer("stuck"))["status"] == "succeeded"
    assert fleet.json("daily_health")["healthy"] == 3
