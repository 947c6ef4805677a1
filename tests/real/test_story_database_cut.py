"""The database's connections are cut at every step of an update and of a provisioning."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.demo_image import build
from dev.servers import postgres
from instances.operations.procedures import provision, update_stop_first
from tests.real.faults import (
    BUSY_GRACE,
    GATE,
    TWO_MINUTES,
    a_provisioning,
    all_is_well,
    an_update,
    carried_out,
    ends,
    provisioned,
    steps_of,
)
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private server, which may be crashed whatever others share, and then has all that it confirmed."""
    with postgres(tmp_path_factory.mktemp("own-postgres"), {}) as url:
        with psycopg.connect(url) as server:
            server.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = on")
        yield url


@pytest.fixture
def database(own_postgres: str) -> str:
    """A database of this test's own."""
    name = f"cut_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(own_postgres, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{own_postgres.rpartition('/')[0]}/{name}"


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, demo_image: str, database: str) -> Iterator[Fleet]:
    quick: dict[str, Any] = {"start_grace": BUSY_GRACE, "stop_timeout": 3}
    environ = {"DOCKMGR_LEASE": "20"}  # many are at work at once, and none of them is to lose its lease
    with a_fleet(
        home, docker_url, broker_url, demo_image, database_url=database, environ=environ, **quick
    ) as fleet:
        yield fleet


def cut(url: str) -> int:
    """End every session but our own; returns how many there were."""
    with psycopg.connect(url, autocommit=True) as server:
        return len(
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        )


def crash(url: str) -> None:
    """A session's process is killed: the server ends all others and starts again from its log."""
    with pytest.raises(psycopg.OperationalError), psycopg.connect(url) as server:
        os.kill(server.info.backend_pid, signal.SIGKILL)
        server.execute("SELECT 1")


@pytest.mark.thorough
def test_sessions_cut_at_any_step_keep_no_operation_from_its_end(
    fleet: Fleet, docker_url: str, database: str
) -> None:
    good = f"{fleet.prefix}:good"
    image = build(docker_url, good, labels={"of": fleet.prefix})
    forth, born = steps_of(update_stop_first.PROCEDURE, "forth"), steps_of(provision.PROCEDURE, "born")
    before = provisioned(fleet, forth)
    halt = {"recorded": True, "halts": True}
    orders = [an_update(fleet, name, good, step, **halt) for name, step in forth.items()]
    orders += [a_provisioning(fleet, name, step, {}, **halt) for name, step in born.items()]
    sessions = []
    assert carried_out(fleet, orders, lambda: sessions.append(cut(database))) == ["ended 0"] * len(orders)
    assert sessions[0] >= len(orders)
    assert ends(fleet, "update") == dict.fromkeys(forth, ("succeeded", image))
    all_is_well(fleet, [*before, *born])


def test_an_order_that_waited_for_others_for_too_long_queues_again(fleet: Fleet, database: str) -> None:
    said = fleet.home / "queued.log"
    with psycopg.connect(database) as other:
        other.execute("SELECT 1 FROM instances_host FOR UPDATE")
        process = fleet.start("manage.py", *fleet.order("one"), log=said)
        wait_until(lambda: "Others hold what is to be changed" in said.read_text(), TWO_MINUTES)
    assert process.wait(TWO_MINUTES) == 0, said.read_text()
    all_is_well(fleet, ["one"])


def test_a_server_that_crashes_is_waited_for(fleet: Fleet, database: str) -> None:
    with fleet.worker(), fleet.beat(), fleet.stranger() as app:
        customer = fleet.customer("one")
        order = {"customer_id": customer, "subdomain": f"{customer}.example.com", "plan": "pro"}
        app.send_task("dockmgr.provision", kwargs={**order, "env": {"BOOT_SECONDS": "1"}})
        wait_until(lambda: fleet.at_step("one", GATE))
        crash(database)
        wait_until(lambda: unfinished(fleet) == 0, TWO_MINUTES)
    all_is_well(fleet, ["one"])
    assert (fleet.boots("one"), [row["status"] for row in fleet.operations("one")]) == (1, ["succeeded"])


def unfinished(fleet: Fleet) -> int:
    """How many operations are under way, or 1 while the server is not up again."""
    try:
        return fleet.unfinished()
    except psycopg.OperationalError:
        return 1
