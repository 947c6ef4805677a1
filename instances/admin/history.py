"""An instance's past on one chart: latency and failures, with its restarts and updates marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.admin.charts import Bar, Mark, Value, bars, bucket_of, place_of
from instances.models import HealthCheck, Instance, Operation

PERIODS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
LABELS = {"1d": "a day", "7d": "a week", "30d": "a month"}
PARTS = 120
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
    slowest: int

    @property
    def middle(self) -> datetime:
        return self.since + (self.until - self.since) / 2

    @property
    def words(self) -> str:
        """What somebody who does not see the chart is told."""
        return (
            f"Checks: {self.checks}, of which {self.failures} failed; slowest answer: {self.slowest} ms; "
            f"restarts, updates and provisionings: {len(self.marks)}."
        )


def history(instance: Instance, period: str, now: datetime) -> History:
    """The newest checks of the period, at most 10,000, in two queries."""
    since = now - PERIODS[period]
    rows = HealthCheck.objects.filter(instance=instance, checked_at__gt=since).order_by("-checked_at")
    checks = rows.values_list("checked_at", "outcome", "latency_ms")[:MOST_CHECKS]
    parts = _parts(checks, since, (now - since) / PARTS)
    slowest = max((part.slowest for part in parts), default=0)
    return History(
        since=since,
        until=now,
        bars=bars([_value(part, slowest) for part in parts]),
        marks=_marks(instance, since, now),
        checks=sum(part.checks for part in parts),
        failures=sum(part.failures for part in parts),
        slowest=slowest,
    )


def _parts(
    checks: Iterable[tuple[datetime, str, int | None]], since: datetime, step: timedelta
) -> list[Part]:
    parts = [Part() for _ in range(PARTS)]
    for moment, outcome, latency in checks:
        parts[min(PARTS - 1, bucket_of(moment, since, step))].add(outcome, latency)
    return parts


def _value(part: Part, slowest: int) -> Value:
    """A part with a failure reaches the top, whatever its latency."""
    if not part.checks:
        return Value(None, "none", "")
    title = f"{part.checks} checks, {part.failures} failed, slowest {part.slowest} ms"
    return Value(slowest or 1 if part.failures else part.slowest, part.kind, title)


def _marks(instance: Instance, since: datetime, now: datetime) -> list[Mark]:
    rows = Operation.objects.filter(customer_id=instance.customer_id, created_at__gt=since, kind__in=MARKED)
    return [
        Mark(
            place_of(row.created_at, since, now),
            row.kind,
            f"{row.kind} {row.status}, {row.created_at:%d %b %H:%M} UTC",
        )
        for row in rows.order_by("-created_at")[:MOST_MARKS]
    ]
