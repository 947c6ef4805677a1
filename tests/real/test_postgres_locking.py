"""What is proven of locks, of transactions of one's own and of parallel orders holds on PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.servers import postgres

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900  # seconds
ABOUT = (
    "tests/fast/db/test_autocommit.py",
    "tests/fast/db/test_locks.py",
    "tests/fast/db/test_parallel_orders.py",
    "tests/fast/fleet/test_bulk_portions.py",
    "tests/fast/models/test_unreadable.py",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("locking-postgres"), {}) as url:
        yield url


@pytest.mark.parametrize("file", ABOUT)
def test_the_same_holds_on_postgresql(server: str, file: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": server},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout
