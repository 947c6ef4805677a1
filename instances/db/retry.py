"""Going on when the database's connection is cut in the middle of an operation, or others hold its rows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from instances.db.errors import met_others
from instances.lib.backoff import Retry, wait_before_next
from instances.lib.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")
# About 40 s in all: a database that restarts or changes over to another host is back within that.
PATIENCE = Retry(tries=9, first=0.2, factor=2.0, longest=10.0)
WAITS = 3  # about 12 s in all, as a lock is waited for for 4 s


def retry_on_disconnect(call: Callable[[], T], clock: Clock) -> T:
    """What `call` returns; it is called again, on a new connection, when the database cut it short.

    So it must be repeatable. Raises the database's own error when that stays away.
    """
    tries = 0
    while True:
        try:
            return call()
        except (OperationalError, InterfaceError) as error:
            tries += 1
            wait = wait_before_next(PATIENCE, tries)
            if wait is None or connection.in_atomic_block:
                raise
            logger.warning("The database failed (%s); trying again in %.1f s.", _brief(error), wait)
        connection.close_if_unusable_or_obsolete()
        clock.sleep(wait)


def retry_while_busy(call: Callable[[], T]) -> T:
    """What `call` returns; it is called again at once when it waited for the rows of others for too long.

    So it must be repeatable. The wait was the database's limit for a lock, so there is none between the
    tries. Raises the database's own error when others are still in the way.
    """
    for _ in range(WAITS - 1):
        try:
            return call()
        except OperationalError as error:
            if connection.in_atomic_block or not met_others(error):
                raise
            logger.warning("Others hold what is to be changed (%s); trying again.", _brief(error))
    return call()


def _brief(error: Exception) -> str:
    """What happened; the lines after the first quote the statement."""
    return " ".join(str(error).strip().partition("\n")[0].split())[:200]
