"""A copy of the database as it is at one moment, while everything goes on using it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection

from instances.errors import OutOfReachError, PermanentError, RequestError

TIMEOUT = 3600  # seconds
CHUNK = 1024 * 1024
DRAFTS = ".dockmgr-backup-"


def back_up(target: Path) -> int:
    """Write a backup into a new file (mode 0600) that is there whole or not at all; returns its bytes.

    A PostgreSQL becomes an archive for `pg_restore`, SQLite a database file. Raises RequestError when
    the file can't be made, OutOfReachError when the database or pg_dump is not to be had.
    """
    if os.path.exists(target):  # False for a name that is too long, for which Path's own raises
        raise RequestError(f"The file {target} exists already; a backup replaces nothing.")
    try:
        draft = _new_draft(target.parent)
    except OSError as error:
        raise RequestError(f"The file {target} can't be made: {error.strerror}.") from None
    try:
        with draft.open("wb") as file:
            write_backup(file)
            os.fsync(file.fileno())
        os.link(draft, target)
    except FileExistsError:
        raise RequestError(f"The file {target} exists already; a backup replaces nothing.") from None
    except OSError as error:
        raise PermanentError(f"The file {target} can't be written: {error.strerror}.") from None
    finally:
        draft.unlink()
    return target.stat().st_size


def write_backup(file: IO[bytes]) -> None:
    """Write a backup into an open file that has a descriptor."""
    if connection.vendor == "postgresql":
        _dump(file)
    else:
        _copy(file)


def key_fingerprints() -> list[str]:
    """What the encryption keys in force are told apart by, the one that encrypts first."""
    return [hashlib.sha256(key).hexdigest()[:12] for key in settings.ENCRYPTION_KEYS]


def _new_draft(folder: Path) -> Path:
    """A file for what is not whole yet. What backups that were killed left there goes with it.

    No backup is at work for longer than TIMEOUT, so nobody writes a file that is older than that.
    """
    for left in folder.glob(f"{DRAFTS}*"):
        with suppress(OSError):  # another one was quicker, or it is another account's
            if left.stat().st_mtime < time.time() - TIMEOUT:
                left.unlink()
    descriptor, draft = tempfile.mkstemp(dir=folder, prefix=DRAFTS)
    os.close(descriptor)
    return Path(draft)


def _copy(file: IO[bytes]) -> None:
    folder = Path(tempfile.gettempdir())
    connection.ensure_connection()
    try:
        draft = _new_draft(folder)
        try:
            with closing(sqlite3.connect(draft)) as copy:
                connection.connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
            with draft.open("rb") as source:
                shutil.copyfileobj(source, file, CHUNK)
        finally:
            draft.unlink()
    except sqlite3.Error as error:
        raise PermanentError(f"The database can't be copied in {folder}: {error}.") from None


def _dump(file: IO[bytes]) -> None:
    with tempfile.TemporaryFile("w") as service:  # without a name, so that nothing is left of it
        environ = _environment(service)
        words = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
        try:
            done = subprocess.run(  # noqa: S603 our own command line
                words, stdout=file.fileno(), stderr=subprocess.PIPE, pass_fds=[service.fileno()],
                env=environ, timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise OutOfReachError("pg_dump is needed and not there: install PostgreSQL's client.") from None
        except subprocess.TimeoutExpired:
            raise OutOfReachError(f"pg_dump was not through within {TIMEOUT} s.") from None
    if done.returncode:
        raise OutOfReachError(f"pg_dump failed: {_said(done.stderr.decode(errors='replace'))}.")


def _environment(service: IO[str]) -> dict[str, str]:
    """How pg_dump reaches the database: by an open service file, so that no argument holds anything."""
    from psycopg.pq import Conninfo  # SQLite alone does without

    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"options"}  # limits are ours
    given: dict[str, Any] = connection.get_connection_params()
    lines = (f"{name}={value}\n" for name, value in given.items() if name in known)
    service.write("[dockmgr]\n" + "".join(lines))
    service.flush()
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**keep, "PGSERVICEFILE": f"/dev/fd/{service.fileno()}", "PGSERVICE": "dockmgr"}


def _said(text: str) -> str:
    """The last line of what the program said, which never shows a password."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("pg_dump: ").rstrip(".") if lines else "it said nothing"
