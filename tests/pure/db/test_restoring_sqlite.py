"""What docs/production.md says of restoring SQLite, done beside what a killed process left."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from dockmgr.database import SQLITE_OPTIONS

TOP = Path(__file__).resolve().parents[3]
NAME = "dockmgr.sqlite3"


def connect(path: Path) -> sqlite3.Connection:
    """As dockmgr does."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(str(SQLITE_OPTIONS["init_command"]))
    return database


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Where a process was killed that wrote "later" after the backup, and nothing was tidied up."""
    folder, running = tmp_path / "killed", tmp_path / "running"
    folder.mkdir()
    running.mkdir()
    with closing(connect(running / NAME)) as database:
        database.execute("CREATE TABLE told (word TEXT)")
        database.execute("INSERT INTO told VALUES ('backed up')")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with closing(sqlite3.connect(folder / "backup.sqlite3")) as backup:
            database.backup(backup)
        database.execute("INSERT INTO told VALUES ('later')")
        for path in running.iterdir():
            shutil.copy(path, folder)
    return folder


def told(folder: Path) -> list[str]:
    with closing(connect(folder / NAME)) as database:
        return [word for (word,) in database.execute("SELECT word FROM told")]


def test_the_file_alone_would_be_undone_by_what_was_left(killed: Path) -> None:
    assert sorted(path.name for path in killed.glob(f"{NAME}*")) == [NAME, f"{NAME}-shm", f"{NAME}-wal"]
    shutil.copy(killed / "backup.sqlite3", killed / NAME)
    assert told(killed) == ["backed up", "later"]


def test_restoring_as_documented_brings_back_what_was_backed_up(killed: Path) -> None:
    page = (TOP / "docs" / "production.md").read_text()
    [commands] = re.findall(rf"^```\n([^`]*{NAME}[^`]*)^```$", page, re.MULTILINE)
    subprocess.run(["sh", "-e", "-c", commands], cwd=killed, check=True)
    assert told(killed) == ["backed up"]
