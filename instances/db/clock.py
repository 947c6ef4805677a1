"""The database's time: what decides between processes is written and compared by this one clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import Error as DatabaseFailure
from django.db import connection

from instances.lib.clock import Clock

logger = logging.getLogger(__name__)

MEASURE_EVERY = 30.0  # seconds
LONGEST_ANSWER = 1.0  # seconds; a slower answer says too little about when it was given


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed() -> float:
    """Seconds that no setting of the machine's clock changes and a suspended machine counts as well."""
    return time.clock_gettime(_STEADY)


def ask_database() -> datetime | None:
    """The time of the database's server; None where the database is a file of this machine."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [at] = cursor.fetchone()
    return datetime.fromtimestamp(at.timestamp(), UTC)


@dataclass(frozen=True)
class Measured:
    """What the database's time was at a moment of `elapsed`."""

    at: float
    database: datetime


class DatabaseClock(Clock):
    """Follows the database's time: asked now and then, carried on by a clock that never steps.

    It is asked over the session a thread has anyway, at most once in `MEASURE_EVERY` seconds, so
    `now` costs no query and holds no session. Where it can't be asked, what was measured last goes
    on; before that, and on SQLite, the machine's own time holds.
    """

    def __init__(
        self,
        ask: Callable[[], datetime | None] = ask_database,
        seconds: Callable[[], float] = elapsed,
        local: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ask, self._seconds, self._local = ask, seconds, local
        self._measured: Measured | None = None
        self._ask_at = 0.0

    def now(self) -> datetime:
        seconds = self._seconds()
        if seconds >= self._ask_at:
            self._measure()
            seconds = self._seconds()
        known = self._measured
        if known is None:
            return self._local()
        return known.database + timedelta(seconds=seconds - known.at)

    def skew(self) -> timedelta:
        return self._local() - self.now() if self._measured else timedelta(0)

    def _measure(self) -> None:
        is_first = self._measured is None
        had_session = connection.connection is not None
        if connection.needs_rollback or not (is_first or had_session):
            return
        self._ask_at = self._seconds() + MEASURE_EVERY
        try:
            self._take()
        except DatabaseFailure:
            logger.info("The database could not be asked for its time.")
        if not had_session and not connection.in_atomic_block:
            connection.close()

    def _take(self) -> None:
        before = self._seconds()
        answer = self._ask()
        took = self._seconds() - before
        if answer is not None and (took <= LONGEST_ANSWER or self._measured is None):
            self._measured = Measured(before + took / 2, answer)


SYSTEM = DatabaseClock()
