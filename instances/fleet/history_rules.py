"""When a stretch of the history is rolled up, what of it may go, and where a period is read from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from instances.lib.calendar import DAY, HOUR, day_of, hour_of, next_day

SETTLED = timedelta(minutes=30)  # after an hour: a look may tell late since when somebody is down


class Source(StrEnum):
    """What a stretch of the past is read from: each check, or sums."""

    CHECKS = "checks"
    HOURS = "hours"
    DAYS = "days"


LENGTHS = {Source.CHECKS: timedelta(), Source.HOURS: HOUR, Source.DAYS: DAY}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sum:
    """What checks saw from `at` on, for as long as it sums up.

    `kept` are those that the history has. `up` and `down` are seconds, latencies milliseconds, None where
    nothing answered; `weight` is how many checks `latency_avg` stands for.
    """

    at: datetime
    kept: int = 0
    failures: int = 0
    unknown: int = 0
    up: float = 0.0
    down: float = 0.0
    latency_min: int | None = None
    latency_max: int | None = None
    latency_avg: float | None = None
    weight: int = 0

    def __add__(self, other: Sum) -> Sum:
        """Both together, from the beginning of the first on."""
        weight = self.weight + other.weight
        total = (self.latency_avg or 0) * self.weight + (other.latency_avg or 0) * other.weight
        return Sum(
            at=self.at,
            kept=self.kept + other.kept,
            failures=self.failures + other.failures,
            unknown=self.unknown + other.unknown,
            up=self.up + other.up,
            down=self.down + other.down,
            latency_min=min(_known(self.latency_min, other.latency_min), default=None),
            latency_max=max(_known(self.latency_max, other.latency_max), default=None),
            latency_avg=total / weight if weight else None,
            weight=weight,
        )


def _known(*values: int | None) -> list[int]:
    return [value for value in values if value is not None]


@dataclass(frozen=True)
class Kept:
    """What there is of the history. Until None: that roll-up has not begun."""

    checks_since: datetime
    hours_since: datetime
    hours_until: datetime | None
    days_until: datetime | None


@dataclass(frozen=True)
class Stretch:
    """A part of a period, and what it is read from; where that is sums, it begins with a whole one."""

    source: Source
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Frame:
    """Equal parts of a period, and the stretches that fill them."""

    since: datetime
    step: timedelta
    parts: int
    stretches: Sequence[Stretch] = ()

    @property
    def until(self) -> datetime:
        return self.since + self.parts * self.step


def hour_is_due(hour: datetime, now: datetime) -> bool:
    """Whether nothing more is expected of an hour."""
    return hour + HOUR + SETTLED <= now


def day_is_due(day: datetime, hours_done: datetime) -> bool:
    """Whether a day has all its hours, which are rolled up until `hours_done`."""
    return day + DAY <= hours_done


def first_to_keep(now: datetime, kept: timedelta, rolled_up: datetime | None, at_most: timedelta) -> datetime:
    """Before when checks may go: older than `kept` and rolled up, or older than `at_most` in any case."""
    last = now - at_most
    return min(now - kept, last if rolled_up is None else max(rolled_up, last))


def stretches(since: datetime, until: datetime, finest: timedelta, kept: Kept) -> list[Stretch]:
    """Where a period is read from, the oldest first, so that nothing is missing and nothing is read twice.

    Sums that are no longer than `finest` serve wherever there are any. Longer ones serve only where what
    they were made of is gone. What is not rolled up yet is read as checks.
    """
    checks, hours = _checks_from(since, finest, kept), _hours_from(since, finest, kept)
    if hours > max(checks, since):  # checks are kept for longer than hours
        checks = hours = next_day(checks)
    found = [
        Stretch(Source.DAYS, day_of(since), min(hours, until)) if hours > since else None,
        Stretch(Source.HOURS, max(hours, hour_of(since)), min(checks, until)) if checks > since else None,
        Stretch(Source.CHECKS, max(checks, since), until),
    ]
    return [part for part in found if part and part.since < part.until]


def _checks_from(since: datetime, finest: timedelta, kept: Kept) -> datetime:
    if kept.hours_until is None:
        return since
    if finest >= HOUR:
        return kept.hours_until
    gone = since < kept.checks_since
    return min(hour_of(kept.checks_since) + HOUR, kept.hours_until) if gone else since


def _hours_from(since: datetime, finest: timedelta, kept: Kept) -> datetime:
    if kept.days_until is None:
        return hour_of(since)
    if finest >= DAY:
        return kept.days_until
    gone = since < kept.hours_since
    return min(next_day(kept.hours_since), kept.days_until) if gone else hour_of(since)


def framed(length: timedelta, most_parts: int, now: datetime, kept: Kept) -> Frame:
    """The period up to now in parts that begin with the sums they are filled from, as fine as these allow."""
    frame = Frame(now - length, length / most_parts, most_parts)
    for longest in LENGTHS.values():
        if longest:
            frame = _aligned(length, most_parts, now, longest)
        frame = replace(frame, stretches=stretches(frame.since, now, frame.step, kept))
        if all(LENGTHS[part.source] <= longest for part in frame.stretches):
            break
    return frame


def _aligned(length: timedelta, most_parts: int, now: datetime, unit: timedelta) -> Frame:
    step = -(-length // (most_parts * unit)) * unit
    parts = -(-length // step)
    until = EPOCH - (EPOCH - now) // unit * unit  # the first beginning of an hour or a day that is not before
    return Frame(until - parts * step, step, parts)
