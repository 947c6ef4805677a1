"""The numbers of the fleet as the database has them: few statements, whatever the number of instances."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet

from instances import counters
from instances.alerts.switching import BY_HAND
from instances.alerts.unsent import UNSENT
from instances.models import Host, Incident, Notification, Operation, Plan, Pulse, Sweep
from instances.models.counting import count_by

MOST_NAMES = 200
OTHER = "other"
Labels = tuple[str, ...]
Numbers = Mapping[Labels, int]


@dataclass(frozen=True)
class Readings:
    """Numbers by label values; `counters` only grow; they are listed by name."""

    instances: Mapping[tuple[str, str], Mapping[str, int]]
    counters: Mapping[str, Numbers]
    unfinished: Numbers
    incidents: Numbers
    waiting: int
    swept_at: datetime | None
    swept_in: float | None
    pulses: Mapping[str, datetime]


def read() -> Readings:
    """Read them all. Only the count of instances looks at more than a handful of rows."""
    last = Sweep.objects.filter(state="finished").order_by("-started_at").first()
    took = (last.finished_at - last.started_at).total_seconds() if last and last.finished_at else None
    return Readings(
        instances=_instances(),
        counters=counters.read(),
        unfinished=_counted(Operation.objects.filter(finished_at=None), "kind", "status"),
        incidents=_counted(Incident.objects.open(), "severity", "kind"),
        waiting=Notification.objects.filter(UNSENT, digest=None).count(),
        swept_at=last.finished_at if last else None,
        swept_in=took,
        pulses=dict(Pulse.objects.exclude(name=BY_HAND).values_list("name", "at")),
    )


def _instances() -> dict[tuple[str, str], dict[str, int]]:
    """Numbers of present instances by status, for each plan and host that has any."""
    counted = count_by("plan_id", "host_id")
    rows = [(*values, number) for values, number in counted.items()]
    plans = _names(Plan.objects.values_list("pk", "name"), ((plan, n) for plan, _, _, n in rows))
    hosts = _names(Host.objects.values_list("pk", "name"), ((host, n) for _, host, _, n in rows))
    numbers: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for plan, host, status, number in rows:
        numbers[plans.get(plan, OTHER), hosts.get(host, OTHER)][status] += number
    return numbers


def _names(known: Iterable[tuple[int, str]], numbers: Iterable[tuple[int, int]]) -> dict[int, str]:
    """Names of the largest ones; a label may not take any number of values."""
    sizes: Counter[int] = Counter()
    for identity, number in numbers:
        sizes[identity] += number
    names = dict(known)
    return {identity: names.get(identity, OTHER) for identity, _ in sizes.most_common(MOST_NAMES)}


def _counted(rows: QuerySet[Any], *columns: str) -> Numbers:
    """How many rows there are of each combination of values."""
    grouped = rows.order_by().values_list(*columns).annotate(number=Count("pk"))
    return {tuple(values): number for *values, number in grouped}
