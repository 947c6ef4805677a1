"""Sums of the history by the hour and by the day, in small steps.

A step is some instances of one hour or day: its rows and how far the roll-up is are committed together.
So it goes on where it stopped, whoever was killed, and a step that is done twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Avg, Count, F, Max, Min, Q, Sum

from instances.fleet import history_rules as rules
from instances.incidents.uptime import lines_of
from instances.lib.calendar import DAY, HOUR, day_of
from instances.models import CheckDay, CheckHour, HealthCheck, HistoryProgress, Instance

AT_ONCE = 2000  # instances in a step
MOST = 32_767  # of what an hour's row holds
HOURS, DAYS = "hours", "days"
SUMS = ("kept", "failures", "unknown", "up", "down", "latency_min", "latency_avg", "latency_max")
Row = dict[str, Any]


def reached() -> dict[str, datetime]:
    """Until when each roll-up is complete, of those that have begun; in one query."""
    return dict(HistoryProgress.objects.values_list("name", "at"))


def step(now: datetime) -> bool:
    """One step of the hours, or else of the days; False when nothing is due."""
    earliest = day_of(now - timedelta(days=settings.HOURLY_DAYS))
    known = HistoryProgress.objects.in_bulk()
    hours = _not_before(earliest, known.get(HOURS) or _begun(HOURS, _first_day(earliest, now)))
    days = _not_before(earliest, known.get(DAYS) or _begun(DAYS, day_of(hours.at)))
    if rules.hour_is_due(hours.at, now):
        return _step(hours, HOUR)
    return rules.day_is_due(days.at, hours.at) and _step(days, DAY)


def _begun(name: str, at: datetime) -> HistoryProgress:
    return HistoryProgress.objects.get_or_create(name=name, defaults={"at": at})[0]


def _not_before(earliest: datetime, found: HistoryProgress) -> HistoryProgress:
    """One that stood still for so long that there is nothing to read any more is moved on."""
    if found.at < earliest:
        found.at, found.instance_id = earliest, 0
        HistoryProgress.objects.filter(pk=found.pk).update(at=earliest, instance_id=0)
    return found


def _first_day(earliest: datetime, now: datetime) -> datetime:
    """The first day with a check; today where there is none."""
    day = earliest
    while day + DAY <= now and not _within(day, DAY).exists():
        day += DAY
    return day


def _within(at: datetime, length: timedelta) -> Any:
    return HealthCheck.objects.filter(checked_at__gte=at, checked_at__lt=at + length)


def _step(progress: HistoryProgress, length: timedelta) -> bool:
    at, after = progress.at, progress.instance_id
    there = Instance.objects.filter(pk__gt=after, created_at__lt=at + length)
    there = there.exclude(decommissioned_at__lte=at).order_by("pk")
    keys = list(there.values_list("pk", flat=True)[:AT_ONCE])
    are_more = len(keys) == AT_ONCE
    following = {"instance_id": keys[-1]} if are_more else {"at": at + length, "instance_id": 0}
    with transaction.atomic():
        mine = HistoryProgress.objects.filter(pk=progress.pk, at=at, instance_id=after)
        if mine.update(**following) and keys:
            if length == HOUR:
                _write(CheckHour, at, _of_hour(at, after, keys[-1]))
            else:
                _write(CheckDay, at, _of_day(at, after, keys[-1]))
    return True


def _write(model: type[CheckHour] | type[CheckDay], at: datetime, rows: Iterable[tuple[int, Row]]) -> None:
    made: list[Any] = [model(instance_id=instance_id, at=at, **row) for instance_id, row in rows]
    model._default_manager.bulk_create(
        made, batch_size=500, update_conflicts=True, unique_fields=["instance", "at"], update_fields=SUMS
    )


def _of_hour(at: datetime, after: int, last: int) -> Iterator[tuple[int, Row]]:
    """From the checks that were kept and the transitions, for instances after one, up to and with another."""
    found: Any = _within(at, HOUR).filter(instance_id__gt=after, instance_id__lte=last).order_by()
    checks: dict[int, Row] = {
        row["instance_id"]: row
        for row in found.values("instance_id").annotate(
            kept=Count("*"),
            failures=Count("pk", filter=Q(outcome="fail")),
            unknown=Count("pk", filter=Q(outcome="unknown")),
            latency_min=Min("latency_ms"),
            latency_avg=Avg("latency_ms"),
            latency_max=Max("latency_ms"),
        )
    }
    for line in lines_of(Instance.objects.filter(pk__gt=after, pk__lte=last), at, at + HOUR):
        row, spent = checks.get(line.instance_id, {}), line.uptime
        if row or spent.up or spent.down:
            average = row.get("latency_avg")
            counts = {name: min(row.get(name, 0), MOST) for name in ("kept", "failures", "unknown")}
            yield (
                line.instance_id,
                {
                    **counts,
                    "latency_min": row.get("latency_min"),
                    "latency_avg": None if average is None else round(average),
                    "latency_max": row.get("latency_max"),
                    "up": round(spent.up),
                    "down": round(spent.down),
                },
            )


def _of_day(at: datetime, after: int, last: int) -> Iterator[tuple[int, Row]]:
    """From the hours: an average counts as often as there are checks in it."""
    hours = CheckHour.objects.filter(
        instance_id__gt=after, instance_id__lte=last, at__gte=at, at__lt=at + DAY
    )
    answered = Q(latency_avg__isnull=False)
    found: Any = (
        hours.order_by()
        .values("instance_id")
        .annotate(
            of_kept=Sum("kept"),
            of_failures=Sum("failures"),
            of_unknown=Sum("unknown"),
            of_up=Sum("up"),
            of_down=Sum("down"),
            of_latency_min=Min("latency_min"),
            of_latency_max=Max("latency_max"),
            total=Sum(F("latency_avg") * F("kept"), filter=answered),
            weight=Sum("kept", filter=answered),
        )
    )
    for row in found:
        average = round(row["total"] / row["weight"]) if row["weight"] else None
        summed = {name: row.get(f"of_{name}") for name in SUMS}
        yield row["instance_id"], {**summed, "latency_avg": average}
