"""A database that turns read-only, as one does that was demoted or whose disk is full, and turns back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.real.fleet import Fleet, a_fleet, all_healthy
from tests.real.live import wait_until

SENTENCE = "The database takes no writes: it is read-only (DATABASE_URL)."
TURNS = 4  # threads beside the work that write, each of which says it once
READY = (
    "import json; from instances.observability.readiness import *; from instances.db.clock import SYSTEM;"
    "print(json.dumps(document(Readiness(SYSTEM.now).look())))"
)


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str, database: str) -> Iterator[Fleet]:
    with a_fleet(home, docker_url, broker_url, demo_image, database_url=database, start_grace=5) as fleet:
        yield fleet


def read_only(url: str, value: str) -> None:
    """For every session that begins now; those there are end."""
    name = url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(url.replace(f"/{name}", "/postgres"), autocommit=True) as server:
        server.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'.encode())
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


@pytest.mark.thorough
def test_it_is_told_once_in_words_and_what_died_meanwhile_is_healed_afterwards(
    fleet: Fleet, database: str
) -> None:
    fleet.provision("one")
    log = fleet.home / "worker.log"
    with fleet.worker(log=log), fleet.beat():
        all_healthy(fleet)
        read_only(database, "on")
        fleet.container("one").kill()
        wait_until(lambda: log.read_text().count(SENTENCE) >= TURNS)
        assert SENTENCE in fleet.run("shell", "-c", READY).stdout
        for command in ("daily_health", "restart", "pause"):
            words = () if command == "daily_health" else ("--customer-id", fleet.customer("one"))
            done = fleet.run(command, *words)
            assert (done.returncode, done.stderr.strip()) == (3, SENTENCE), command
        assert log.read_text().count(SENTENCE) < 2 * TURNS
        assert "Traceback" not in log.read_text()
        read_only(database, "off")
        wait_until(lambda: fleet.restarted("one") == ["succeeded"])
        all_healthy(fleet)
        assert fleet.boots("one") == 2
