"""Deleting from tables whose index begins with the instance: so none is needed for the time alone."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

AT_ONCE = 200  # instances whose rows are deleted in one statement


def forget(rows: QuerySet[Any]) -> int:
    """Delete the rows, some instances at a time; returns how many."""
    newest = rows.model._default_manager.order_by("-instance_id").values_list("instance_id", flat=True)
    last = newest.first() or 0
    return sum(
        rows.filter(instance_id__gte=first, instance_id__lt=first + AT_ONCE).delete()[0]
        for first in range(0, last + 1, AT_ONCE)
    )
