"""How many instances there are of each kind, in a few milliseconds where there are tens of thousands."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count

from instances.health.state import Status
from instances.models.instance import LEAVING, Instance, InstanceQuerySet

NOT_HEALTHY = tuple(status for status in Status if status is not Status.HEALTHY)
Numbers = Counter[tuple[Any, ...]]


def count_by(first: str, *others: str) -> Numbers:
    """How many are present of each combination of these columns and, last, of what they are shown as.

    Most are healthy, so the others are counted, and all of them where an index has the columns.
    """
    columns, present = (first, *others), Instance.objects.present()
    leaving = _counted(present.exclude(leaving_at=None), *columns)
    shown = _counted(
        present.filter(leaving_at=None, health__status__in=NOT_HEALTHY), *columns, "health__status"
    )
    shown.update({(*values, LEAVING): count for values, count in leaving.items()})
    healthy = _counted(present, *columns)
    for (*values, _), count in shown.items():
        healthy[*values,] -= count
    shown.update({(*values, "healthy"): count for values, count in healthy.items() if count > 0})
    return shown


def _counted(rows: InstanceQuerySet, *columns: str) -> Numbers:
    counted = rows.order_by().values_list(*columns).annotate(count=Count("*"))
    return Counter({tuple(values): count for *values, count in counted})
