"""Time as an argument, so that waiting can be tested without waiting."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """The real time: `now()` in UTC, `monotonic()` and `sleep()` in seconds."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


SYSTEM = Clock()
