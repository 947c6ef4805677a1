"""Time as an argument, so that waiting can be tested without waiting, and what to make of stored times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

AHEAD = timedelta(seconds=5)  # by how much clocks may differ
SET_ANEW = timedelta(seconds=60)  # an engine's clock that differs by more is wrong, or was set


class Clock:
    """The real time: `now()` in UTC, `sleep()` in seconds."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def skew(self) -> timedelta:
        """By how much this machine's clock is ahead of the one that decides."""
        return timedelta(0)


def known(moment: datetime | None, now: datetime) -> datetime | None:
    """A stored moment, or None when it lies in the future: then a clock was wrong, and it says nothing."""
    return None if moment is None or moment > now + AHEAD else moment


def is_due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    """Whether what was done at `last` is to be done again. What was done in the future is, too: then a
    clock was wrong.
    """
    return last is None or not last <= now < last + every
