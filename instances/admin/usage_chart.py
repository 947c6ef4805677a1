"""What an instance used, hour by hour: CPU, memory and disk on a chart each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.admin.charts import Bar, Value, bars, bucket_of
from instances.admin.history import MOST_PARTS, PERIODS
from instances.lib.calendar import DAY, HOUR, day_of, hour_of
from instances.lib.sizes import shown
from instances.models import Instance, Usage, UsageDay, UsageHour
from instances.models.usage import Consumed
from instances.monitoring.usage_report import hours_kept


@dataclass(frozen=True)
class UsageChart:
    """Bars of a quantity over a period, and the same in words."""

    bars: list[Bar]
    words: str


def usage_charts(instance: Instance, period: str, now: datetime) -> list[UsageChart]:
    """CPU, memory and disk over the period; nothing where nothing was read.

    A period for whose beginning no hours are kept is drawn from days, and from hours that are in no day yet.
    """
    length = PERIODS[period]
    unit = HOUR if length <= hours_kept() else DAY
    step = -(-length // (MOST_PARTS * unit)) * unit
    number = -(-length // step)
    since = (hour_of(now) if unit == HOUR else day_of(now)) + unit - number * step
    rows = _read(instance, since, unit)
    if not rows:
        return []
    parts: list[list[Consumed]] = [[] for _ in range(number)]
    for at, row in rows.items():
        parts[min(number - 1, bucket_of(at, since, step))].append(row)
    cpu = _chart(parts, since, step, lambda row: row.cpu_seconds / row.seconds, "CPUs", _cpus)
    memory = _chart(parts, since, step, lambda row: row.memory_peak, "memory", shown)
    disk = _chart(parts, since, step, lambda row: row.disk_peak, "disk", shown, lambda row: row.disk_seconds)
    return [cpu, memory, disk]


def _cpus(number: float) -> str:
    return f"{number:.2f} CPUs"


def _read(instance: Instance, since: datetime, unit: timedelta) -> dict[datetime, Consumed]:
    rows: dict[datetime, Consumed] = {}
    if unit == DAY:
        days = UsageDay.objects.filter(instance=instance, at__gte=since).order_by("at")
        rows = {row.at: row for row in days}
        since = max(rows, default=since - DAY) + DAY
    rows |= {row.at: row for row in UsageHour.objects.filter(instance=instance, at__gte=since)}
    last = Usage.objects.filter(instance=instance, hour__gte=since).first()
    if last is not None and last.hour is not None:  # its hour may be over and not yet added to the others
        rows.setdefault(last.hour, last)
    return rows


def _chart(
    parts: list[list[Consumed]],
    since: datetime,
    step: timedelta,
    amount: Callable[[Consumed], float],
    what: str,
    written: Callable[[float], str],
    known: Callable[[Consumed], float] = lambda row: row.seconds,
) -> UsageChart:
    most = [max((amount(row) for row in part if known(row)), default=None) for part in parts]
    values = [
        Value(
            value or 0.01 if value is not None else None,
            "good",
            "" if value is None else f"{since + number * step:%d %b %H:%M} UTC: {written(value)}",
        )
        for number, value in enumerate(most)
    ]
    seen = [value for value in most if value is not None]
    or_day = " or a day" if step >= DAY else ""
    return UsageChart(bars(values), f"Most {what} of an hour{or_day}: {written(max(seen, default=0))}.")
