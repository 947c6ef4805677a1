"""The state file other tools read: rewritten whole and atomically; the database stays the truth."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import DatabaseError

from instances.db.errors import database_sentence
from instances.db.sessions import SESSIONS
from instances.models import Health, Sweep

logger = logging.getLogger(__name__)


EVERY = 1.0  # seconds; what is asked for sooner is written when they have passed
ROWS_AT_ONCE = 2000
_json = msgspec.json.Encoder().encode


def write(path: Path | None = None) -> None:
    """Have the state file say what the database says now (mode 0600, epoch seconds).

    It is written once a second at most, whichever processes ask: at once, or by a thread as soon as a
    second has passed; a process that ends waits for it. Writers take turns under a lock and read inside it,
    so an older picture never replaces a newer one, and who is served by another's picture writes none. A
    folder that can't be written is logged as an error and stops nothing.
    """
    target, now = path or settings.STATE_FILE, time.time()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        passed = now - _last_read(target.with_suffix(".lock"))
    except OSError as error:
        _tell(error)
        return
    if 0 <= passed < EVERY:
        LATER.write(target, EVERY - passed, now)
    else:
        _write_now(target, now)


def _write_now(target: Path, asked_at: float) -> None:
    """Write, unless somebody has read the database since it was asked for."""
    try:
        with open(target.with_suffix(".lock"), "a+", opener=_open_or_make) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            began = time.time()
            if asked_at < _last_read(Path(lock.name)) <= began:
                return
            _replace(target, document())
            lock.truncate(0)
            lock.write(repr(began))
    except OSError as error:
        _tell(error)


def _open_or_make(path: str, flags: int) -> int:
    try:
        made = os.open(path, flags | os.O_EXCL, 0o644)
    except FileExistsError:
        return os.open(path, flags)
    _give(made, Path(path).parent)
    return made


def _give(descriptor: int, folder: Path) -> None:
    """What root makes in another account's folder is that one's, whose workers write it next."""
    if os.geteuid() == 0:
        owner = folder.stat()
        with suppress(OSError):  # a file system without owners, or a root without that right
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _last_read(lock: Path) -> float:
    """When the database was last read for a file that was written; a time long ago if that is not known."""
    try:
        return float(lock.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0


def _tell(error: OSError) -> None:
    logger.error("The state file can't be written: %s.", error.strerror)


class Later:
    """Writes that wait for their time, one for each file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[tuple[int, Path], float] = {}

    def write(self, target: Path, wait: float, asked_at: float) -> None:
        """Have the file written in `wait` seconds; one that waits already serves this one as well."""
        key = os.getpid(), target  # a forked child inherits no thread
        with self._lock:
            if key not in self._asked:
                threading.Timer(wait, self._write, [key]).start()
            self._asked[key] = asked_at  # only now: nobody would ever take one whose thread did not start

    def _write(self, key: tuple[int, Path]) -> None:
        with self._lock:
            asked_at = self._asked.pop(key)
        try:
            with SESSIONS.turn():
                _write_now(key[1], asked_at)
        except DatabaseError as error:
            logger.error("The state file is not up to date: %s", database_sentence(error))


LATER = Later()


class _Entry(msgspec.Struct, rename="camel"):
    """What the file says of an instance."""

    last_healthy: int | None
    consecutive_failures: int
    last_restart: int | None
    version: str | None


def document() -> Iterator[bytes]:
    """The file's text in pieces: as one, a large fleet's takes a third of what all else takes."""
    rows = Health.objects.filter(
        instance__decommissioned_at=None, instance__provisioned_at__isnull=False
    ).values_list("instance__customer_id", "last_healthy_at", "failures", "last_restart_at", "version")
    last = Sweep.objects.exclude(finished_at=None).order_by("-started_at").first()
    yield b'{"lastHealthCheck":%b,"instances":{' % _json(_epoch(last.finished_at if last else None))
    separator = b""
    for customer_id, healthy, failures, restart, version in rows.iterator(ROWS_AT_ONCE):
        entry = _Entry(_epoch(healthy), failures, _epoch(restart), version or None)
        yield b"%b%b:%b" % (separator, _json(customer_id), _json(entry))
        separator = b","
    yield b"}}"


def _epoch(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _replace(target: Path, text: Iterable[bytes]) -> None:
    """Whoever holds the lock writes the one draft; one that was killed meanwhile leaves it to the next."""
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _give(file.fileno(), target.parent)
            file.writelines(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
