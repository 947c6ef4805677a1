"""The state folder, and a database on PostgreSQL, after `migrate`: made once, and copied for each fleet."""

from __future__ import annotations

import fcntl
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from tests.real.commands import Commands
from tests.settings import HOME, HOME_OF_RUN


@functools.cache
def migrated(sweep_interval: str) -> Path:
    """A folder to copy: the SQLite database, with the interval written down, and the keys it was made with.

    It goes away with the run, whose processes share it.
    """
    folder = HOME_OF_RUN / f"migrated-{sweep_interval}"
    first = HOME_OF_RUN / "migrated"
    with _alone():
        if not first.exists():
            _migrate(first, sweep_interval)
        if not folder.exists():
            _migrate(folder, sweep_interval, before=first)
    return folder


def migrated_on(database_url: str, sweep_interval: str) -> Path:
    """Have the database hold what it does after `migrate`; returns the folder to copy that belongs to it."""
    server, _, name = database_url.rpartition("/")
    template, folder = _template(server, sweep_interval)
    with _on(server) as session:
        session.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
        copied = SQL("CREATE DATABASE {} TEMPLATE {}")
        session.execute(copied.format(Identifier(name), Identifier(template)))
    return folder


@functools.cache
def _template(server: str, sweep_interval: str) -> tuple[str, Path]:
    folder = Path(tempfile.mkdtemp(dir=HOME))
    name = f"migrated_{folder.name.lower()}"
    with _on(server) as session:
        session.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    _migrate(folder / "home", sweep_interval, DATABASE_URL=f"{server}/{name}")
    return name, folder / "home"


def _on(server: str) -> psycopg.Connection:
    return psycopg.connect(f"{server}/postgres", autocommit=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One process of the run at a time; the lock is given back when the file is closed."""
    with open(HOME_OF_RUN / "migrating", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _migrate(folder: Path, sweep_interval: str, before: Path | None = None, **environ: str) -> None:
    """Make the folder; it is there when it is complete."""
    making = Path(tempfile.mkdtemp(dir=HOME_OF_RUN))
    if before:
        shutil.copytree(before, making, dirs_exist_ok=True)
    given = {"DOCKMGR_HOME": str(making), "DOCKMGR_SWEEP_INTERVAL": sweep_interval, **environ}
    with closing(Commands(given)) as commands:
        done = commands.run("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    making.rename(folder)
