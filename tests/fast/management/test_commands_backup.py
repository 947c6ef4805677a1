"""What is left behind by a backup that did not come to its end."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import pytest

from instances.db import backup
from instances.management import streams
from tests.fast.conftest import Run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the copy of SQLite's file is made as well."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_backup_left_goes_with_the_next_one(run: Run, folder: Path) -> None:
    killed, at_work = folder / f"{backup.DRAFTS}killed", folder / f"{backup.DRAFTS}at-work"
    for draft in (killed, at_work):
        draft.touch()
    long_ago = time.time() - backup.TIMEOUT - 60
    os.utime(killed, (long_ago, long_ago))
    assert run("backup", str(folder / "new")).code == 0
    assert {path.name for path in folder.iterdir()} == {at_work.name, "new"}


def test_a_database_that_can_not_be_copied_is_said_in_a_sentence(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "connect", _full)
    ran = run("backup", str(folder / "new"))
    assert ran.code == 1 and ran.err.endswith("database or disk is full.\n")
    assert not list(folder.iterdir())


def test_a_backup_of_which_the_reader_took_a_part_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", streams.output(writing))
        assert run("backup", "-").code == 1


def _full(_path: Path) -> None:
    raise sqlite3.OperationalError("database or disk is full")
