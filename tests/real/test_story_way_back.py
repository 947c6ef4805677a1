"""On PostgreSQL and real containers: an update goes back whatever its container says and others remove."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from instances.containers.spec import CUSTOMER_LABEL
from instances.lib.storable import MARK
from tests.real.fleet import Fleet, a_fleet
from tests.real.images import Shelf
from tests.real.live import wait_until

pytestmark = pytest.mark.real

GATE = "wait until healthy"
NAMES = ("loud", "pruned", "stuck")
TASKS = "io.containerd.runtime.v2.task/moby"
LOUD = 'ENTRYPOINT ["/bin/sh", "-c", "printf \'a\\\\000b\\\\355\\\\240\\\\275c\\\\n\'; exec /srv/start.sh"]'


@pytest.fixture
def fleet(home: Path, docker_url: str, broker_url: str, postgres_url: str, shelf: Shelf) -> Iterator[Fleet]:
    name = f"story_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        url = f"{postgres_url.rpartition('/')[0]}/{name}"
        good = shelf.push("latest", DEMO_VERSION="1.0.0")
        with a_fleet(home, docker_url, broker_url, good, database_url=url, start_grace=3) as fleet:
            yield fleet
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def update(fleet: Fleet, name: str, image: str) -> tuple[int, dict[str, Any]]:
    done = fleet.run("update", "--customer-id", fleet.customer(name), "--image", image, "--json")
    return done.returncode, json.loads(done.stdout)


def prune(fleet: Fleet, name: str) -> list[str]:
    """`docker container prune -f`, for this customer alone; returns the ids of what is gone."""
    label = f"{CUSTOMER_LABEL}={fleet.customer(name)}"
    return list(fleet.docker.containers.prune(filters={"label": label})["ContainersDeleted"] or ())


def task_folder(docker_url: str, container: str) -> Path:
    """Where containerd, be it the engine's own or the machine's, keeps the task of one that runs."""
    own = Path(docker_url.removeprefix("unix://")).parent / "exec" / "containerd" / "daemon"
    kept = [root / TASKS / container for root in (own, Path("/run/containerd"))]
    return next(folder for folder in kept if folder.is_dir())


@pytest.mark.thorough
def test_an_update_goes_back_whatever_is_in_the_way(fleet: Fleet, shelf: Shelf, docker_url: str) -> None:
    loud = shelf.push_changed("loud", "ENV MODE=503", LOUD)
    fleet.provision_all(*NAMES)
    before = {name: fleet.container(name).id for name in NAMES}
    for name in NAMES:
        fleet.inside(name, f"echo {name} >/data/kept")
    task = task_folder(docker_url, before["stuck"])
    with ThreadPoolExecutor(3) as pool:
        updates = {name: pool.submit(update, fleet, name, loud) for name in before}
        wait_until(lambda: fleet.at_step("stuck", GATE), 30)  # containerd has cleared the old task away
        task.mkdir()  # as it stays where an engine is killed while it starts the container
        wait_until(lambda: fleet.at_step("pruned", GATE), 30)
        assert prune(fleet, "pruned") == [before["pruned"]]
        done = {name: future.result() for name, future in updates.items()}
    ends = {name: (code, row["status"]) for name, (code, row) in done.items()}
    assert ends == dict.fromkeys(NAMES, (1, "rolled_back"))
    [(kept,)] = fleet.sql(
        f"SELECT facts->>'logs' FROM instances_operation WHERE id = '{done['loud'][1]['id']}'"
    )
    assert f"a{MARK}b" in kept
    assert fleet.container("loud").id == before["loud"]
    for name in ("pruned", "stuck"):
        assert fleet.container(name).id != before[name]
        assert fleet.read(name, "/data/kept") == f"{name}\n"
    assert fleet.containers() == [*NAMES]
    assert fleet.json("daily_health")["healthy"] == 3
    assert fleet.unfinished() == 0
