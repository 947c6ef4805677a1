"""Real servers for the tests that need them: started once a run, or those the environment names."""

from __future__ import annotations

import itertools
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dev.demo_image import build
from dev.servers import EngineServer, broker, postgres
from tests.real.images import Shelf, a_shelf
from tests.real.live import docker_client
from tests.real.tried_engine import an_engine, is_tried
from tests.settings import GIVEN

# About how long a file takes among others, in seconds. Begun last, one of these would keep the run waiting.
SECONDS = {
    "test_story_updates_killed.py": 260, "test_on_postgres.py": 255, "test_story_faults.py": 200,
    "test_story_updates.py": 170, "test_story_ways_to_engines.py": 130,
    "test_story_database_cut.py": 130, "test_story_redis_refuses.py": 110,
    "test_story_another_engine.py": 110, "test_compose.py": 110, "test_story_wrong_requests.py": 110,
    "test_story_alerts.py": 100, "test_products.py": 100, "test_story_silent_host.py": 100,
    "test_story_killed.py": 90, "test_docker_engine.py": 90, "test_backup.py": 90,
    "test_story_hung.py": 90, "test_story_ordeal.py": 90, "test_demo.py": 80, "test_story_engine.py": 80,
    "test_story_logs.py": 80, "test_story_celery_node.py": 80, "test_story_clockwork.py": 80,
    "test_story_events.py": 70, "test_story_postgres.py": 70, "test_up.py": 70, "test_servers.py": 70,
    "test_isolation.py": 60, "test_adopting.py": 60, "test_story_trials.py": 60, "test_story_api.py": 60,
}  # fmt: skip
DIVIDED = ("test_on_postgres.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each worker begin with some of the longest files: xdist gives all a run of as many tests.

    A file with nothing to share is dealt test by test. Whoever is through takes from the ends of others.
    Tests of other folders come first, in their order: those that empty the database are the last of them.
    """
    own = [item for item in items if "real" in item.path.parts]
    elsewhere = [item for item in items if "real" not in item.path.parts]
    packs: dict[str, list[pytest.Item]] = {}
    for item in own:
        packs.setdefault(item.nodeid if item.path.name in DIVIDED else str(item.path), []).append(item)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    lengths = [0] * workers
    for pack in sorted(packs.values(), key=_seconds, reverse=True):
        if _seconds(pack):
            least = lengths.index(min(lengths))
            shares[least].extend(pack)
            lengths[least] += _seconds(pack)
    others = itertools.chain.from_iterable(pack for pack in packs.values() if not _seconds(pack))
    left = len(own)
    for place, share in enumerate(shares):
        share.extend(itertools.islice(others, max(0, left // (workers - place) - len(share))))
        left -= len(share)
    items[:] = itertools.chain(elsewhere, *shares)


def _seconds(pack: list[pytest.Item]) -> int:
    return SECONDS.get(pack[0].path.name, 0)


@pytest.fixture(scope="session", autouse=True)
def hear_interrupts() -> None:
    """Whoever starts the run in the background has it ignore Ctrl-C, and every child would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def engine_server(
    tmp_path_factory: pytest.TempPathFactory, record_testsuite_property: Callable[[str, object], None]
) -> Iterator[EngineServer]:
    with an_engine(tmp_path_factory.mktemp("engine"), GIVEN) as server:
        if is_tried():
            with docker_client(server.url) as client:
                record_testsuite_property("engine", client.version()["Version"])
                record_testsuite_property("store", client.info()["Driver"])
        yield server


@pytest.fixture(scope="session")
def docker_url(engine_server: EngineServer) -> str:
    return engine_server.url


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker"), GIVEN) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("postgres"), GIVEN) as url:
        yield url


@pytest.fixture(scope="session")
def demo_image(docker_url: str) -> Iterator[str]:
    """A tag of the demo image of this run alone."""
    tag = f"dockmgr-test-{uuid.uuid4().hex[:8]}:1.0.0"
    build(docker_url, tag)
    yield tag
    with docker_client(docker_url) as client:
        client.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Shelf]:
    """A registry of a file's own, with what its tests push there."""
    with a_shelf(tmp_path_factory.mktemp("shelf"), docker_url) as shelf:
        yield shelf


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """A database of a test's own on the server."""
    name = f"story_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        yield f"{postgres_url.rpartition('/')[0]}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
