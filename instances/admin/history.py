"""An instance's past on one chart: latency and failures, with its restarts and updates marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from instances.admin.charts import Bar, Mark, Value, bars, bucket_of, place_of
from instances.models import HealthCheck, Instance, Operation

PERIODS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
LABELS = {"1d": "a day", "7d": "a week", "30d": "a month"}
MOST_PARTS = 120
PART_LENGTH = 1.5  # a part this long holds a check, unless there was none
LEAST = 0.01  # ms: an answer without a latency is drawn all the same
MOST_CHECKS = 10_000
MOST_MARKS = 200
MARKED = ("restart", "update", "provision")


@dataclass
class Part:
    """What the checks of one part of the period saw."""

    checks: int = 0
    failures: int = 0
    unknown: int = 0
    slowest: int = 0

    def add(self, outcome: str, latency_ms: int | None) -> None:
        self.checks += 1
        self.failures += outcome == "fail"
        self.unknown += outcome == "unknown"
        self.slowest = max(self.slowest, latency_ms or 0)

    @property
    def kind(self) -> str:
        if self.failures:
            return "bad"
        return "unknown" if self.unknown else "good"


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

    @property
    def middle(self) -> datetime:
        return self.since + (self.until - self.since) / 2

    @property
    def words(self) -> str:
        """What somebody who does not see the chart is told."""
        return (
            f"Checks kept: {self.checks}, of which {self.failures} failed and {self.unknown} saw nothing; "
            f"slowest answer: {self.slowest} ms; restarts, updates and provisionings: {self.operations}."
            f"{self._left_out}{self._not_marked}"
        )

    @property
    def _left_out(self) -> str:
        if self.drawn_since is None:
            return ""
        return f" Only the newest {MOST_CHECKS} checks are drawn, since {_moment(self.drawn_since)} UTC."

    @property
    def _not_marked(self) -> str:
        return f" Only the newest {MOST_MARKS} of those are marked." if self.operations > MOST_MARKS else ""


def history(instance: Instance, period: str, now: datetime, interval: float) -> History:
    """The newest checks of the period, at most 10,000, in three queries; `interval` seconds between two."""
    since = now - PERIODS[period]
    rows = HealthCheck.objects.filter(instance=instance, checked_at__gt=since).order_by("-checked_at")
    checks = list(rows.values_list("checked_at", "outcome", "latency_ms")[:MOST_CHECKS])
    step = (now - since) / number_of_parts(PERIODS[period], interval)
    operations = Operation.objects.filter(
        customer_id=instance.customer_id, created_at__gt=since, kind__in=MARKED
    )
    parts = _parts(checks, since, now, step)
    slowest = max((part.slowest for part in parts), default=0)
    return History(
        since=since,
        until=now,
        bars=bars([_value(part, slowest, since + number * step, step) for number, part in enumerate(parts)]),
        marks=_marks(operations, since, now),
        checks=len(checks),
        failures=sum(part.failures for part in parts),
        unknown=sum(part.unknown for part in parts),
        slowest=slowest,
        operations=operations.count(),
        drawn_since=checks[-1][0] if len(checks) == MOST_CHECKS else None,
    )


def number_of_parts(period: timedelta, interval: float) -> int:
    """No part is so short that regular checks miss it: an empty one means that none was made."""
    return max(1, min(MOST_PARTS, int(period.total_seconds() / (PART_LENGTH * interval))))


def _parts(
    checks: Iterable[tuple[datetime, str, int | None]], since: datetime, until: datetime, step: timedelta
) -> list[Part]:
    parts = [Part() for _ in range(round((until - since) / step))]
    for moment, outcome, latency in checks:
        parts[min(len(parts) - 1, bucket_of(moment, since, step))].add(outcome, latency)
    return parts


def _value(part: Part, slowest: int, begins: datetime, step: timedelta) -> Value:
    """A part in which something failed or could not be seen reaches the top, whatever its latency."""
    if not part.checks:
        return Value(None, "none", "")
    title = (
        f"{_moment(begins)} to {_moment(begins + step)} UTC: {part.checks} checks kept, {part.failures} "
        f"failed, {part.unknown} unknown, slowest {part.slowest} ms"
    )
    amount = slowest or 1 if part.failures or part.unknown else part.slowest or LEAST
    return Value(amount, part.kind, title)


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
