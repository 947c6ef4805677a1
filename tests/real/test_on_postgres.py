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
ENOUGH = 250  # a run that silently selected nothing proves nothing


def test_everything_that_touches_the_database_passes_on_postgresql(postgres_url: str) -> None:
    words = [sys.executable, "-m", "pytest", "tests/fast", "-q", "-m", "django_db", "-p", "no:cacheprovider"]
    words += ["--ignore=tests/fast/test_updates_killed.py"]  # the longest, and the same on any database
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= ENOUGH
