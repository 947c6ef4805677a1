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
ENOUGH = 300  # a run that silently selected nothing proves nothing
PATIENCE = 1200  # seconds
# Whatever asks more of a database than to keep rows: locks, constraints, comparing while writing, dates.
ABOUT = (
    "adopting", "applying", "decommissioning", "delivery", "delivery_processes", "digests", "fields",
    "fleet_watching", "flushing", "flushing_again", "flushing_held", "healing_held", "health_state",
    "host_watching", "incidents", "journal", "migrations", "muting", "overlapping",
    "provisioning", "purging", "recording", "restarting", "self_watching", "state_file", "sweeps", "tidying",
    "uptime",
)  # fmt: skip
ABOUT_THE_WEB = ("audit", "metrics", "tokens")


def test_what_asks_much_of_a_database_passes_on_postgresql(postgres_url: str) -> None:
    files = [f"tests/fast/test_{name}.py" for name in ABOUT]
    files += [f"tests/web/test_{name}.py" for name in ABOUT_THE_WEB]
    words = [sys.executable, "-m", "pytest", "-q", "-m", "django_db", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*words, *files],
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
