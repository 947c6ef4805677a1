"""What the fast tests prove on SQLite holds on PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
ENOUGH = 600  # a run that silently selected nothing proves nothing
PATIENCE = 1200  # seconds
# Kills at every moment take a third of the time. What they ask of a database, writes that count only for
# the holder of a lease and a port that is taken, the two left of them ask; the others differ by verb alone.
WORDS = (
    "--ignore=tests/fast/test_updates_killed.py", "-k",
    "not (killed_at_any_moment and (provisioning or decommissioning)) and not its_maker_is_killed",
)  # fmt: skip


def test_everything_that_touches_the_database_passes_on_postgresql(postgres_url: str) -> None:
    words = [sys.executable, "-m", "pytest", "tests/fast", "-q", "-m", "django_db", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*words, *WORDS],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= ENOUGH
