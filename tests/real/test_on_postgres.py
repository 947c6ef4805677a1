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
PATIENCE = 1200  # seconds
# It takes all it gets of a processor, and the tests beside it wait for what happens in real time.
IN_THE_BACKGROUND = ("nice", "-n", "10")
# Whatever asks more of a database than to keep rows: locks, constraints, comparing while writing, dates,
# statements of our own. What only reads and writes rows by Django's own words is proven on SQLite.
# In parts, each with the number of tests at least: none selected proves nothing.
PARTS = {
    "shared": (215, ["fast/db", "fast/models", "fast/checks/test_record.py", "fast/checks/test_sweeps.py",
                     "fast/alerts/test_outbox_processes.py", "fast/incidents/test_lifecycle.py",
                     "fast/operations/test_journal.py", "fast/operations/test_leases.py",
                     "web/admin/test_two_editors.py::test_a_page_that_has_no_transaction_takes_its_form_as_well",
                     "web/admin/test_two_editors.py::test_who_edits_outside_of_a_test_is_told_as_well"]),
    "rows": (300, ["fast/alerts/test_outbox.py", "fast/alerts/test_notify.py",
                   "fast/alerts/test_notify_held.py", "fast/alerts/test_mute.py",
                   "fast/alerts/test_switching.py",
                   "fast/checks", "fast/incidents/test_uptime.py", "fast/monitoring/test_fleet.py",
                   "fast/monitoring/test_hosts.py", "fast/monitoring/test_events.py",
                   "fast/monitoring/test_usage.py", "fast/monitoring/test_disk.py",
                   "fast/monitoring/test_ooms.py", "fast/monitoring/test_deaths.py",
                   "fast/tasks/test_looks.py", "fast/tasks/test_ways_of_checking.py"]),
    "statements": (130, ["fast/fleet/test_bulk_portions.py", "fast/fleet/test_orphans.py",
                         "fast/tasks/test_foreign_messages.py", "fast/monitoring/test_log_alerts.py",
                         "fast/fleet/test_apply.py", "fast/fleet/test_apply_at_once.py",
                         "fast/fleet/test_cleanup.py",
                         "fast/fleet/test_retention.py", "fast/fleet/test_history.py",
                         "fast/fleet/test_early_sums.py",
                         "fast/fleet/test_past.py", "web/test_history_plans.py",
                         "fast/operations/test_identity.py", "fast/operations/test_last_words.py",
                         "fast/operations/test_provision.py", "fast/operations/test_host_access.py",
                         "fast/operations/test_adopt_unpublished.py",
                         "fast/operations/test_generated.py", "fast/fleet/test_rehearse.py",
                         "web/access/test_audit.py::test_hostile_paths_are_recorded_cut_and_clean",
                         "web/access/test_audit.py::test_texts_are_cut_to_what_the_log_holds",
                         "web/access/test_audit.py::test_a_database_that_loses_the_entry_does_not_lose_the_answer",
                         "web/observability/test_metrics.py"]),
    "killed": (21, ["exhaustive"]),
}  # fmt: skip


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.thorough] * (part != "shared")) for part in PARTS]
)
def test_what_asks_much_of_a_database_passes_on_postgresql(postgres_url: str, part: str) -> None:
    enough, names = PARTS[part]
    files = [f"tests/{name}" for name in names]
    assert all((ROOT / name.partition("::")[0]).exists() for name in files)
    words = ["-q", "--show-capture=no", "-m", "django_db", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*IN_THE_BACKGROUND, sys.executable, "-m", "pytest", *words, *files],
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
    assert int(passed[1]) >= enough
    assert "skipped" not in done.stdout
