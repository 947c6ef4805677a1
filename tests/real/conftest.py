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
from tests.real.live import docker_client
from tests.real.tried_engine import an_engine, is_tried
from tests.settings import GIVEN

LONGEST = (  # begun last, one of them would keep the run waiting
    "test_on_postgres.py", "test_story_faults.py", "test_story_updates_killed.py", "test_story_updates.py",
    "test_story_killed.py", "test_story_clockwork.py", "test_interleavings.py", "test_story_engine.py",
    "test_story_commands.py", "test_story_postgres.py", "test_story_alerts.py", "test_adopting.py",
)  # fmt: skip
DIVIDED = ("test_on_postgres.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the files, the longest first: xdist gives each worker a run of equal length to begin with.

    A file with nothing to share is dealt test by test.
    """
    packs: dict[str, list[pytest.Item]] = {}
    for item in items:
        packs.setdefault(item.nodeid if item.path.name in DIVIDED else str(item.path), []).append(item)
    ranks = {name: number for number, name in enumerate(LONGEST)}
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for pack in sorted(
        packs.values(), key=lambda pack: (ranks.get(pack[0].path.name, len(ranks)), -len(pack))
    ):
        min(shares, key=len).extend(pack)
    items[:] = itertools.chain.from_iterable(shares)


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
