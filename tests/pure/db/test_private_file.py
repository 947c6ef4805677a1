"""SQLite's file is made for its own account alone, and what is there keeps the rights it was given."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from instances.db.private_file import make_private

TOP = Path(__file__).resolve().parents[3]
EVERYBODY = 0o644


def rights(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_nobody_else_reads_what_migrate_makes(tmp_path: Path) -> None:
    database = tmp_path / "d.sqlite3"
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "contenttypes", "--verbosity", "0"],
        cwd=TOP,
        env={
            "PATH": os.environ["PATH"],
            "DOCKMGR_HOME": str(tmp_path),
            "DATABASE_URL": f"sqlite:///{database}",
        },
        umask=0,
        check=True,
    )
    assert rights(database) == 0o600


@pytest.mark.parametrize(("content", "after"), [(b"", 0o600), (b"SQLite", EVERYBODY)])
def test_what_holds_something_keeps_its_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, after: int
) -> None:
    database = tmp_path / "d.sqlite3"
    database.write_bytes(content)
    database.chmod(EVERYBODY)
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(database))
    make_private()
    assert rights(database) == after


def test_without_its_folder_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "none" / "d.sqlite3"))
    make_private()
    assert not list(tmp_path.iterdir())
