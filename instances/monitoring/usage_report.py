"""What customers used in a period, from hours and days; and the roll-up of hours to days."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q, QuerySet, Sum

from instances.db.locks import locked
from instances.db.snapshot import snapshot
from instances.db.write_back import write_back
from instances.documents import shapes, time
from instances.lib.calendar import DAY, day_of, hour_of
from instances.models import Instance, Usage, UsageDay, UsageHour
from instances.models.usage import CONSUMED, PEAKS
from instances.monitoring.usage import end_hour

LEAST_HOURS = timedelta(days=3)  # so that the daily roll-up finds all of a day
AT_ONCE = 1000  # instances whose day is rolled up in one query
GIB_HOURS = 1024**3 * 3600
WHO = ("instance__customer_id", "instance__plan__name")
TOTALS: dict[str, Any] = {f"of_{name}": Max(name) if name in PEAKS else Sum(name) for name in CONSUMED}
Totals = dict[str, float]


def hours_kept() -> timedelta:
    """How long hours are kept before days have to do."""
    return max(LEAST_HOURS, timedelta(days=settings.HOURLY_DAYS))


def report(
    since: datetime, until: datetime, customer_id: str | None = None, limit: Q | None = None
) -> list[shapes.Usage]:
    """USAGE of each customer between two times, by name; those that were removed meanwhile included.

    What is added up begins with the hour in which the period begins; with the day where that is older than
    DOCKMGR_HOURLY_DAYS. USAGE says so: its `since` is when that hour or day began. `limit` is a condition on
    instances.
    """
    first = hour_of(since)
    by_hour = max(first, day_of(until - hours_kept()) + DAY)
    begun = day_of(first) if first < by_hour else first
    days = UsageDay.objects.filter(at__gte=begun, at__lt=by_hour)
    hours = UsageHour.objects.filter(at__gte=by_hour, at__lt=until)
    under_way = Usage.objects.filter(hour__gte=first, hour__lt=until)
    parts: list[QuerySet[Any]] = [days, hours, under_way] if first < by_hour else [hours, under_way]
    if limit:
        parts = [rows.filter(instance__in=Instance.objects.filter(limit)) for rows in parts]
    totals: dict[tuple[str, str], Totals] = {}
    with snapshot():  # an hour that ends between two queries would be in neither
        for rows in parts:
            for found in _by_customer(rows, customer_id):
                _add(totals.setdefault((found[WHO[0]], found[WHO[1]]), dict.fromkeys(CONSUMED, 0)), found)
    return [_document(*who, totals[who], begun, until) for who in sorted(totals)]


def _by_customer(rows: QuerySet[Any], customer_id: str | None) -> Iterable[dict[str, Any]]:
    """The sums of all customers, or of one; throwaway instances are nobody's."""
    if customer_id is not None:
        rows = rows.filter(instance__customer_id=customer_id)
    asked: Any = rows.filter(instance__expires_at=None).order_by().values(*WHO)
    return list(asked.annotate(**TOTALS))


def _add(total: Totals, found: dict[str, Any]) -> None:
    for name in CONSUMED:
        value = found[f"of_{name}"] or 0
        total[name] = max(total[name], value) if name in PEAKS else total[name] + value


def _document(customer: str, plan: str, total: Totals, since: datetime, until: datetime) -> shapes.Usage:
    seconds = total["seconds"]
    return {
        "customer_id": customer,
        "plan": plan,
        "since": time(since),
        "until": time(until),
        "running_seconds": round(seconds),
        "cpu_seconds": round(total["cpu_seconds"], 3),
        "memory_gib_hours": round(total["memory_seconds"] / GIB_HOURS, 6),
        "memory_average_bytes": round(total["memory_seconds"] / seconds) if seconds else 0,
        "memory_peak_bytes": int(total["memory_peak"]),
        "received_bytes": int(total["received"]),
        "sent_bytes": int(total["sent"]),
        "block_read_bytes": int(total["block_read"]),
        "block_written_bytes": int(total["block_written"]),
        "disk_gib_hours": round(total["disk_seconds"] / GIB_HOURS, 6),
        "disk_peak_bytes": int(total["disk_peak"]),
    }


def as_csv(rows: Sequence[shapes.Usage]) -> str:
    """The same as a table with a line of names: RFC 4180, for billing."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(shapes.Usage.__annotations__), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(dict(row) for row in rows)
    return out.getvalue()


def roll_up(now: datetime) -> int:
    """Write down the hours nobody has ended, and the days that are over; returns how many rows of days.

    Yesterday is added up anew each time: a clock that ran fast may have ended it before it was over.
    """
    hour, today = hour_of(now), day_of(now)
    with transaction.atomic():
        left = list(locked(Usage.objects.filter(hour__lt=hour)).order_by("pk"))
        for row in left:
            end_hour(row)
            row.hour = None
        write_back(left, ["hour", *CONSUMED])
    return sum(_roll_up_day(day) for day in _days_left(today))


def _days_left(today: datetime) -> Iterable[datetime]:
    last = UsageDay.objects.filter(at__lt=today).order_by("-at").values_list("at", flat=True).first()
    first = UsageHour.objects.order_by("at").values_list("at", flat=True).first()
    day = min(last + DAY, today - DAY) if last else day_of(first) if first else today
    while day < today:
        yield day
        day += DAY


@transaction.atomic  # half a day would count as done
def _roll_up_day(day: datetime) -> int:
    hours = UsageHour.objects.filter(at__gte=day, at__lt=day + DAY).order_by()
    last, rolled_up = hours.aggregate(last=Max("instance_id"))["last"] or 0, 0
    for first in range(0, last + 1, AT_ONCE):
        some: Any = hours.filter(instance_id__gte=first, instance_id__lt=first + AT_ONCE).values(
            "instance_id"
        )
        sums = some.annotate(**TOTALS).order_by("instance_id")
        rows = [
            UsageDay(at=day, instance_id=row["instance_id"], **{name: row[f"of_{name}"] for name in CONSUMED})
            for row in sums
        ]
        UsageDay.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["instance", "at"], update_fields=CONSUMED,
            batch_size=500,
        )  # fmt: skip
        rolled_up += len(rows)
    return rolled_up
