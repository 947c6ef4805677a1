"""Twenty instances on PostgreSQL, checked and changed by workers with queues of their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet, all_healthy
from tests.real.live import wait_until

NAMES = [f"n{number:02}" for number in range(20)]
KILLED, REMOVED, PAUSED = NAMES[:3], NAMES[3], NAMES[4]
MOST_AT_ONCE = 4


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str, database: str) -> Iterator[Fleet]:
    small: dict[str, Any] = {"cpus": 0.2, "memory": "16m", "start_grace": 20, "env": {"BOOT_SECONDS": "2"}}
    with a_fleet(home, docker_url, broker_url, demo_image, database_url=database, **small) as fleet:
        yield fleet


def provision_by_task(fleet: Fleet) -> None:
    customers = [fleet.customer(name) for name in NAMES]
    with fleet.stranger() as app:
        sent = [
            app.send_task(
                "dockmgr.provision",
                kwargs={"customer_id": customer, "subdomain": f"{customer}.example.com", "plan": "pro"},
            )
            for customer in customers
        ]
        results = [result.get(timeout=120) for result in sent]
    assert [result["error"] for result in results] == [None] * len(NAMES)


def break_five(fleet: Fleet) -> None:
    for name in KILLED:
        fleet.container(name).kill()
    fleet.container(REMOVED).remove(force=True)
    fleet.container(PAUSED).pause()


def most_at_once(spans: list[tuple[datetime, datetime]]) -> int:
    """The most at one moment; both ends were told by one process, as clocks of two differ by milliseconds."""
    return max(sum(began <= at < ended for began, ended in spans) for at, _ in spans)


def test_four_of_twenty_are_healed_and_counted_once_and_a_paused_one_is_left_alone(fleet: Fleet) -> None:
    used = {name: 1 if name in NAMES[:4] else 0 for name in NAMES}
    with fleet.worker("-Q", "health", "-P", "threads"), fleet.worker("-Q", "operations"):
        provision_by_task(fleet)
        break_five(fleet)
        with fleet.beat():  # its first sweep finds all five
            wait_until(lambda: fleet.health("restarts_used") == used)
            wait_until(lambda: fleet.health("reason")[PAUSED] == "paused")
            assert fleet.health()[PAUSED] == "unknown"
            fleet.container(PAUSED).unpause()
            all_healthy(fleet)
    assert fleet.health("restarts_used") == used
    rows = fleet.sql(
        "SELECT started_at, finished_at, status FROM instances_operation WHERE kind = 'restart' AND automatic"
    )
    assert [status for _, _, status in rows] == ["succeeded"] * 4
    assert 1 < most_at_once([(began, ended) for began, ended, _ in rows]) <= MOST_AT_ONCE
    assert {name: fleet.boots(name) for name in NAMES} == {name: 1 + count for name, count in used.items()}
    report = fleet.json("daily_health")
    assert (report["healthy"], report["restarted"]) == (20, [])
