"""What is known of an instance's past: each check where it is kept, and sums where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from instances.documents import time
from instances.documents.past_shapes import PastSum
from instances.fleet import roll_up
from instances.fleet.history_rules import Kept, Source, Stretch, Sum, stretches
from instances.incidents.uptime import changes_of
from instances.incidents.uptime_rules import Uptime, measure
from instances.lib.calendar import DAY, HOUR, day_of, hour_of
from instances.models import CheckDay, CheckHour, HealthCheck, Instance

SUMMED = ("at", "kept", "failures", "unknown", "up", "down", "latency_min", "latency_max", "latency_avg")
MODELS: dict[Source, type[Any]] = {Source.HOURS: CheckHour, Source.DAYS: CheckDay}


def kept(now: datetime) -> Kept:
    """What there is of the history now."""
    reached = roll_up.reached()
    return Kept(
        checks_since=now - timedelta(days=settings.HISTORY_DAYS),
        hours_since=now - timedelta(days=settings.HOURLY_DAYS),
        hours_until=reached.get(roll_up.HOURS),
        days_until=reached.get(roll_up.DAYS),
    )


def seen(instance: Instance, stretch: Stretch, most: int | None = None) -> list[Sum]:
    """What was seen in a stretch, the newest first; each check stands for itself, at most so many of them."""
    if stretch.source is Source.CHECKS:
        rows = HealthCheck.objects.filter(
            instance=instance, checked_at__gte=stretch.since, checked_at__lte=stretch.until
        )
        newest = rows.order_by("-checked_at").values_list("checked_at", "outcome", "latency_ms")
        return [_of_check(*row) for row in newest[:most]]
    sums = MODELS[stretch.source].objects.filter(instance=instance, at__gte=stretch.since)
    rows = sums.filter(at__lt=stretch.until).order_by("-at").values_list(*SUMMED)
    return [_of_sums(*row) for row in rows]


def _of_check(at: datetime, outcome: str, latency: int | None) -> Sum:
    failed, unknown, answered = outcome == "fail", outcome == "unknown", latency is not None
    return Sum(at, 1, int(failed), int(unknown), 0, 0, latency, latency, latency, int(answered))


def _of_sums(at: datetime, kept: int, *rest: Any) -> Sum:
    failures, unknown, up, down, least, most, average = rest
    return Sum(at, kept, failures, unknown, up, down, least, most, average, 0 if average is None else kept)


def document(each: Sum) -> PastSum:
    average = each.latency_avg
    return {
        "at": time(each.at),
        "checks": each.kept,
        "failures": each.failures,
        "unknown": each.unknown,
        "uptime_percent": Uptime(up=each.up, down=each.down).percent,
        "uptime_seconds": round(each.up, 1),
        "downtime_seconds": round(each.down, 1),
        "latency_min_ms": each.latency_min,
        "latency_avg_ms": None if average is None else round(average),
        "latency_max_ms": each.latency_max,
    }


def by_hour(instance: Instance, since: datetime, now: datetime) -> list[Sum]:
    """Hours in which something is known, the newest first; none is older than DOCKMGR_HOURLY_DAYS."""
    oldest = hour_of(now - timedelta(days=settings.HOURLY_DAYS)) + HOUR
    return _by(HOUR, instance, max(hour_of(since), oldest), now)


def by_day(instance: Instance, since: datetime, now: datetime) -> list[Sum]:
    """Days in which something is known, the newest first: the first one whole, the last one until now."""
    return _by(DAY, instance, day_of(since), now)


def _by(length: timedelta, instance: Instance, first: datetime, now: datetime) -> list[Sum]:
    found: dict[datetime, Sum] = {}
    for stretch in stretches(first, now, length, kept(now)):
        for each in [*seen(instance, stretch), *_available(instance, stretch, first, length)]:
            begins = first + (each.at - first) // length * length
            found[begins] = found.get(begins, Sum(begins)) + each
    return [found[begins] for begins in sorted(found, reverse=True)]


def _available(instance: Instance, stretch: Stretch, first: datetime, length: timedelta) -> Iterator[Sum]:
    """Up and down in each part of a stretch of checks; other sums have their own."""
    if stretch.source is not Source.CHECKS:
        return
    changes = changes_of(instance, stretch.since, stretch.until)
    begins = stretch.since
    while begins < stretch.until:
        ends = min(first + ((begins - first) // length + 1) * length, stretch.until)
        spent = measure(changes, begins, ends)
        if spent.up or spent.down:
            yield Sum(begins, up=spent.up, down=spent.down)
        begins = ends
