"""Which installation this is: what belongs to one database, and to no copy of it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from django.db import Error as DatabaseFailure
from django.db import connection, transaction

logger = logging.getLogger(__name__)

ASK_EVERY = 30.0  # seconds; a process outlives a move of its database to another server
_SERVER = (
    "SELECT system_identifier, oid FROM pg_control_system(), pg_database WHERE datname = current_database()"
)


def ask_database() -> str | None:
    """What no copy of the database shares with it, in 16 characters; None where it can't be told.

    On PostgreSQL that is the server's own number, which is made with its data folder, and the number of
    the database in it: the same by whatever address it is reached, another one where a dump was
    restored. On SQLite it is the file. A copy of a server's whole data folder is not told apart.
    """
    if connection.vendor == "postgresql":
        # A server that refuses must not spoil the transaction somebody is in.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_SERVER)
            found = cursor.fetchone()
    else:
        found = _file(str(connection.settings_dict["NAME"]))
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16] if found else None


def _file(name: str) -> tuple[int, int] | None:
    try:
        status = Path(name).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Installation:
    """The identity of the installation a process belongs to, asked again now and then."""

    def __init__(
        self, ask: Callable[[], str | None] = ask_database, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask, self._seconds = ask, seconds
        self._known: str | None = None
        self._ask_at = float("-inf")

    def id(self) -> str | None:
        """The identity, at most `ASK_EVERY` seconds old unless the database is away. None if unknown."""
        if self._seconds() >= self._ask_at:
            self.refresh()
        return self._known

    def known(self) -> str | None:
        """The identity as it was told last, without asking. None before the first answer."""
        return self._known

    def refresh(self) -> str | None:
        """The same, asked now. Where the database can't be asked, what was known before."""
        if connection.needs_rollback:
            return self._known
        self._ask_at = self._seconds() + ASK_EVERY
        had_session = connection.connection is not None
        try:
            self._known = self._ask() or self._known
        except DatabaseFailure as error:
            logger.debug("The database does not tell its identity: %s", type(error).__name__)
        finally:
            if not had_session and not connection.in_atomic_block:
                connection.close()
        return self._known


INSTALLATION = Installation()
