"""Going on when the database's connection is cut in the middle of an operation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from instances.lib.backoff import Retry, wait_before_next
from instances.lib.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")
# About 40 s in all: a database that restarts or changes over to another host is back within that.
PATIENCE = Retry(tries=9, first=0.2, factor=2.0, longest=10.0)


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
            logger.warning("The database did not answer (%s); trying again in %.1f s.", _brief(error), wait)
        connection.close_if_unusable_or_obsolete()
        clock.sleep(wait)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
