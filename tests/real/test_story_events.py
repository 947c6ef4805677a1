"""With sweeps hours apart, what is killed, removed or stopped from outside is well again within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.fleet import Fleet, a_fleet, all_healthy, end
from tests.real.live import wait_until

pytestmark = pytest.mark.real
NAMES = ("killed", "removed", "stopped")
RARELY = {"DOCKMGR_SWEEP_INTERVAL": "86400", "DOCKMGR_EVENTS": "1"}


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    with a_fleet(home, docker_url, broker_url, demo_image, environ=RARELY, start_grace=8) as fleet:
        yield fleet


def follower(fleet: Fleet) -> str:
    rows = fleet.sql("SELECT events_by FROM instances_hostwatch")
    return str(rows[0][0]) if rows else ""


def test_what_dies_is_healed_without_a_sweep_and_by_whoever_is_left(fleet: Fleet) -> None:
    fleet.provision_all(*NAMES)
    with fleet.worker() as first:
        wait_until(lambda: bool(follower(fleet)))
        leader = follower(fleet)
        fleet.container("killed").kill()
        wait_until(lambda: bool(fleet.restarts("killed")))
        fleet.container("removed").remove(force=True)
        fleet.container("stopped").stop(timeout=1)
        wait_until(lambda: bool(fleet.restarts("removed") and fleet.restarts("stopped")))
        all_healthy(fleet)
        with fleet.worker():
            end(first)
            wait_until(lambda: follower(fleet) not in ("", leader))
            fleet.container("killed").kill()
            wait_until(lambda: len(fleet.restarts("killed")) == 2)
            all_healthy(fleet)
    assert fleet.health("restarts_used") == {"killed": 2, "removed": 1, "stopped": 1}
    assert not fleet.sql("SELECT 1 FROM instances_sweep")
