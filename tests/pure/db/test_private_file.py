"""SQLite's file is made for its own account alone, and what is there keeps the rights it was given."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.commands import migrate
from django.db import connection

from instances.db.private_file import make_private

EVERYBODY = 0o644


def rights(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def use(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(database))


def test_nobody_else_reads_what_migrate_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "d.sqlite3"
    use(database, monkeypatch)

    def checks_make_the_file(*_: object, **__: object) -> None:
        with closing(sqlite3.connect(database)) as opened:
            opened.execute("CREATE TABLE t (c)")

    monkeypatch.setattr(migrate.Command, "execute", checks_make_the_file)
    before = os.umask(0)
    try:
        call_command("migrate")
    finally:
        os.umask(before)
    assert rights(database) == 0o600
    assert database.stat().st_size


@pytest.mark.parametrize(("content", "after"), [(b"", 0o600), (b"SQLite", EVERYBODY)])
def test_what_holds_something_keeps_its_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, after: int
) -> None:
    database = tmp_path / "d.sqlite3"
    database.write_bytes(content)
    database.chmod(EVERYBODY)
    use(database, monkeypatch)
    make_private()
    assert rights(database) == after


def test_without_its_folder_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path / "none" / "d.sqlite3", monkeypatch)
    make_private()
    assert not list(tmp_path.iterdir())
