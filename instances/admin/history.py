"""An instance's past on one chart: latency and failures, with its restarts and updates marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from instances.admin.charts import Bar, Mark, Value, bars, bucket_of, place_of
from instances.fleet import past
from instances.fleet.history_rules import Frame, Source, Sum, framed
from instances.incidents.uptime import uptime_percent
from instances.lib.calendar import DAY
from instances.models import Instance, Operation

PERIODS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "1y": 365 * DAY}
LABELS = {"1d": "a day", "7d": "a week", "30d": "a month", "1y": "a year"}
MOST_PARTS = 120
PART_LENGTH = 1.5  # a part this long holds a check, unless there was none
LEAST = 0.01  # ms: an answer without a latency is drawn all the same
MOST_CHECKS = 10_000
MOST_MARKS = 200
MARKED = ("restart", "update", "provision")


@dataclass(frozen=True)
class History:
    """The chart, and the numbers it is drawn from in words."""

    since: datetime
    until: datetime
    bars: list[Bar]
    marks: list[Mark]
    checks: int
    failures: int
    unknown: int
    slowest: int
    operations: int  # restarts, updates and provisionings, of which the newest are `marks`
    drawn_since: datetime | None  # the oldest check drawn, where older ones are left out
    uptime_percent: float | None = None

    @property
    def middle(self) -> datetime:
        return self.since + (self.until - self.since) / 2

    @property
    def words(self) -> str:
        """What somebody who does not see the chart is told."""
        return (
            f"{self._uptime}Checks kept: {self.checks}, of which {self.failures} failed and {self.unknown} "
            f"saw nothing; slowest answer: {self.slowest} ms; "
            f"restarts, updates and provisionings: {self.operations}.{self._left_out}{self._not_marked}"
        )

    @property
    def _uptime(self) -> str:
        return "" if self.uptime_percent is None else f"Uptime: {self.uptime_percent:g} %. "

    @property
    def _left_out(self) -> str:
        if self.drawn_since is None:
            return ""
        return f" Only the newest {MOST_CHECKS} checks are drawn, since {_moment(self.drawn_since)} UTC."

    @property
    def _not_marked(self) -> str:
        return f" Only the newest {MOST_MARKS} of those are marked." if self.operations > MOST_MARKS else ""


def history(instance: Instance, period: str, now: datetime, interval: float) -> History:
    """What is known of the period, in few queries; `interval` seconds between two checks.

    Of checks that are not summed up yet, or are asked for one by one, the newest 10,000 are drawn.
    """
    length = PERIODS[period]
    frame = framed(length, number_of_parts(length, interval), now, past.kept(now))
    seen = {part.source: past.seen(instance, part, MOST_CHECKS) for part in frame.stretches}
    operations = Operation.objects.filter(
        customer_id=instance.customer_id, created_at__gt=frame.since, kind__in=MARKED
    )
    parts = _parts([each for found in seen.values() for each in found], frame)
    slowest = max((part.latency_max or 0 for part in parts), default=0)
    checks = seen.get(Source.CHECKS, [])
    return History(
        since=frame.since,
        until=frame.until,
        bars=bars([_value(part, slowest, frame.step) for part in parts]),
        marks=_marks(operations, frame.since, frame.until),
        checks=sum(part.kept for part in parts),
        failures=sum(part.failures for part in parts),
        unknown=sum(part.unknown for part in parts),
        slowest=slowest,
        operations=operations.count(),
        drawn_since=checks[-1].at if len(checks) == MOST_CHECKS else None,
        uptime_percent=uptime_percent([instance.pk], frame.since, now).get(instance.pk),
    )


def number_of_parts(period: timedelta, interval: float) -> int:
    """No part is so short that regular checks miss it: an empty one means that none was made."""
    return max(1, min(MOST_PARTS, int(period.total_seconds() / (PART_LENGTH * interval))))


def _parts(seen: Iterable[Sum], frame: Frame) -> list[Sum]:
    parts = [Sum(frame.since + number * frame.step) for number in range(frame.parts)]
    for each in seen:
        number = min(frame.parts - 1, bucket_of(each.at, frame.since, frame.step))
        parts[number] += each
    return parts


def _value(part: Sum, slowest: int, step: timedelta) -> Value:
    """A part in which something failed or could not be seen reaches the top, whatever its latency."""
    if not part.kept:
        return Value(None, "none", "")
    longest = part.latency_max or 0
    title = (
        f"{_moment(part.at)} to {_moment(part.at + step)} UTC: {part.kept} checks kept, {part.failures} "
        f"failed, {part.unknown} unknown, slowest {longest} ms"
    )
    if part.failures or part.unknown:
        return Value(slowest or 1, "bad" if part.failures else "unknown", title)
    return Value(longest or LEAST, "good", title)


def _moment(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M}"


def _marks(operations: QuerySet[Operation], since: datetime, now: datetime) -> list[Mark]:
    return [
        Mark(
            place_of(row.created_at, since, now),
            row.kind,
            f"{row.kind} {row.status}, {row.created_at:%d %b %H:%M} UTC",
        )
        for row in operations.order_by("-created_at")[:MOST_MARKS]
    ]
