"""What an instance used, hour by hour: CPU, memory and disk on a chart each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from instances.admin.charts import Bar, Value, bars
from instances.admin.history import MOST_PARTS, PERIODS
from instances.lib.sizes import shown
from instances.models import Instance, Usage, UsageHour
from instances.models.usage import Consumed

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class UsageChart:
    """Bars of a quantity over a period, and the same in words."""

    bars: list[Bar]
    words: str


def usage_charts(instance: Instance, period: str, now: datetime) -> list[UsageChart]:
    """CPU, memory and disk over the period; nothing where nothing was read."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    since, hours = hour - PERIODS[period] + HOUR, round(PERIODS[period] / HOUR)
    rows: dict[datetime, Consumed] = {
        row.at: row for row in UsageHour.objects.filter(instance=instance, at__gte=since)
    }
    last = Usage.objects.filter(instance=instance, hour__gte=since).first()
    if last is not None and last.hour is not None:  # its hour may be over and not yet added to the others
        rows.setdefault(last.hour, last)
    if not rows:
        return []
    step = -(-hours // MOST_PARTS)
    parts = [
        [rows[at] for at in (since + (first + n) * HOUR for n in range(step)) if at in rows]
        for first in range(0, hours, step)
    ]
    cpu = _chart(parts, since, step, lambda row: row.cpu_seconds / row.seconds, "CPUs", "{:.2g} CPUs".format)
    memory = _chart(parts, since, step, lambda row: row.memory_peak, "memory", shown)
    disk = _chart(parts, since, step, lambda row: row.disk_peak, "disk", shown, lambda row: row.disk_seconds)
    return [cpu, memory, disk]


def _chart(
    parts: list[list[Consumed]],
    since: datetime,
    step: int,
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
            "" if value is None else f"{since + number * step * HOUR:%d %b %H:%M} UTC: {written(value)}",
        )
        for number, value in enumerate(most)
    ]
    seen = [value for value in most if value is not None]
    return UsageChart(bars(values), f"Most {what} of an hour: {written(max(seen, default=0))}.")
