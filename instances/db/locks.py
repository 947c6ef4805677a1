"""Rows that are locked before they are changed, in one order everywhere, so that nobody waits in a circle.

The order of tables is: host, bulk order, operation, health, instance, channel, incident, usage, host watch,
sweep, counters; within a table by key. A transaction that needs rows of several takes them in that
order. Inserting a row also locks those it refers to, at the commit and only against their removal:
that is why locks here let references pass (`FOR NO KEY UPDATE`).
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


def locked(rows: QuerySet[M], *, skip_locked: bool = False) -> QuerySet[M]:
    """The rows, locked against changes until the transaction ends; joined rows are not.

    Use it inside a transaction. With `skip_locked`, rows somebody else holds are left out.
    """
    return rows.select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)


def lock_in_order(rows: QuerySet[Any]) -> list[Any]:
    """Lock rows by key, lowest first; returns their keys. Where there are no row locks it only reads."""
    return list(locked(rows.order_by("pk")).values_list("pk", flat=True))


def has_row_locks() -> bool:
    """Whether the database locks rows; SQLite has one writer at a time instead."""
    return bool(connection.features.has_select_for_update)
