"""How often lines come, and which of them were counted before. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

Moment = int  # nanoseconds of an engine's clock since 1970


class Rate:
    """Whether lines come more often than allowed, by the moments of the last few of them alone.

    `over_at` is when it is over, given what came so far: when for as long as `within` no more than
    `more_than` lines came in that time. None until there were more for the first time.
    """

    def __init__(self, more_than: int, within: timedelta) -> None:
        self._within = within
        self._last: deque[datetime] = deque(maxlen=more_than + 1)
        self.over_at: datetime | None = None

    def add(self, at: datetime) -> bool:
        """Count a line that was written at this moment; returns whether there were too many with it."""
        self._last.append(at)
        first = self._last[0]
        if len(self._last) < (self._last.maxlen or 0) or at - first >= self._within:
            return False
        over = first + 2 * self._within
        self.over_at = max(over, self.over_at or over)
        return True

    def is_above(self, now: datetime) -> bool:
        """Whether it is a matter for people at this moment."""
        return self.over_at is not None and now < self.over_at


class Place:
    """How far a log was read, so that whoever opens it anew counts no line twice.

    Lines may have the same moment, so those of the last one are counted. Where two streams of a container
    write at once an engine may tell a later line first; such a one is not missed while the log is open.
    """

    def __init__(self, since: Moment) -> None:
        self.since = since
        self._at_last = 0
        self._known = 0  # lines of the last moment that are still to come again
        self.reads_again = False  # until something new comes

    def opened(self) -> None:
        """The log is read from `since` on once more."""
        self._known, self.reads_again = self._at_last, True

    def is_new(self, at: Moment) -> bool:
        """Whether the next line, written at this moment, was not there before."""
        if at > self.since:
            self.since, self._at_last, self.reads_again = at, 1, False
            return True
        if at < self.since:
            return not self.reads_again
        if self._known:
            self._known -= 1
            return False
        self._at_last += 1
        return True


def stamped(line: bytes) -> tuple[Moment | None, bytes]:
    """A line's moment and text, as an engine writes them.

    One without a moment was cut off as its stream broke: it comes again, and is not to be counted.
    """
    stamp, _, text = line.partition(b" ")
    return moment(stamp), text


def moment(stamp: bytes) -> Moment | None:
    """`2026-03-01T12:00:00.123456789Z`, to the nanosecond; None for anything else."""
    try:
        text = stamp[:40].decode("ascii")
        seconds, dot, rest = text.partition(".")
        digits = rest.rstrip("Z") if dot else ""
        if dot and not (rest.endswith("Z") and digits.isdigit() and len(digits) <= 9):
            return _by_calendar(text)
        whole = _by_calendar(f"{seconds}Z" if dot else seconds)
    except ValueError:
        return None
    return None if whole is None else whole + int(digits.ljust(9, "0") or 0)


def _by_calendar(text: str) -> Moment | None:
    """Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        return None
    return int(found.timestamp()) * 10**9 + found.microsecond * 1000


class TokenBucket:
    """Holds reading to `rate` bytes a second, after a `burst` of more."""

    def __init__(self, rate: int, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._paid_until = 0.0

    def spend(self, size: int, now: float) -> float:
        """Seconds to rest after so many bytes; `now` in seconds of a clock that only goes forward."""
        self._paid_until = max(self._paid_until, now - self._burst / self._rate) + size / self._rate
        return max(0.0, self._paid_until - now)
