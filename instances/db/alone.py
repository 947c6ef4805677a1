"""One process at a time, of all that use this database: the second waits for the end of the first."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import OperationalError, connection

# Any number that nothing else on the server locks.
KEY = 0x646F636B6D6772


@contextmanager
def alone(waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of this database; `waiting` is called first when somebody else holds it.

    The lock goes with its process, however that ends. On PostgreSQL it is one of the session, so it does
    not work through a pooler that shares sessions by transaction.
    """
    with _of_server(waiting) if connection.vendor == "postgresql" else _of_file(waiting):
        yield


@contextmanager
def _of_server(waiting: Callable[[], None]) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [KEY])
        if not cursor.fetchone()[0]:
            waiting()
            cursor.execute("SELECT pg_advisory_lock(%s)", [KEY])
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [KEY])


@contextmanager
def _of_file(waiting: Callable[[], None]) -> Iterator[None]:
    path = Path(f"{connection.settings_dict['NAME']}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("w")
    except OSError:
        raise OperationalError("unable to open database file") from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
