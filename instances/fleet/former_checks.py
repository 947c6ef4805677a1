"""The history of the former table, moved into the present one in small steps, the newest rows first.

Processes of the former release may write to that table meanwhile: those rows are the next to be moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import TruncDate

from instances.db import partitions
from instances.db.locks import locked
from instances.models import FormerCheck, HealthCheck
from instances.models.history import CHECKED_STATUSES, CONTAINER_STATES, MOST_FAILURES, OUTCOMES

AT_ONCE = 5000  # rows in a step
TABLE = HealthCheck._meta.db_table
COLUMNS = (
    "checked_at, instance_id, sweep_id, latency_ms, http_status, consecutive_failures, outcome, status,"
    " container_state, reason, error"
)


def is_empty() -> bool:
    """Whether nothing is left in the former table."""
    return not FormerCheck.objects.order_by("-pk").values_list("pk")[:1]


def step(now: datetime) -> bool:
    """Move some rows, those that are too old for sums by the hour into nowhere; False when there are none."""
    since = now - timedelta(days=settings.HOURLY_DAYS)
    newest = FormerCheck.objects.order_by("-pk")[:AT_ONCE]
    if partitions.is_partitioned():
        days = FormerCheck.objects.filter(pk__in=newest.values("pk"), checked_at__gte=since)
        partitions.make(
            TABLE, days.annotate(day=TruncDate("checked_at")).values_list("day", flat=True).distinct()
        )
    with transaction.atomic():
        keys = [row.pk for row in locked(newest.only("pk"), skip_locked=True)]
        if keys:
            _copy(keys, since)
            FormerCheck.objects.filter(pk__in=keys).delete()
    return bool(keys)


def _copy(keys: Sequence[int], since: datetime) -> None:
    source = FormerCheck._meta.db_table
    sql = (
        f"INSERT INTO {TABLE} ({COLUMNS})"  # noqa: S608 our own words
        f" SELECT checked_at, instance_id, sweep_id, latency_ms, {_least('http_status')},"
        f" {_least('consecutive_failures')}, {_coded('outcome', OUTCOMES, None)},"
        f" {_coded('status', CHECKED_STATUSES, None)},"
        f" {_coded('container_state', CONTAINER_STATES, 'other')}, reason, error"
        f" FROM {source} WHERE checked_at >= %s AND id IN ({', '.join(map(str, keys))})"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [FormerCheck._meta.get_field("checked_at").get_db_prep_value(since, connection)])


def _least(column: str) -> str:
    return f"CASE WHEN {column} > {MOST_FAILURES} THEN {MOST_FAILURES} ELSE {column} END"


def _coded(column: str, words: Sequence[str], otherwise: str | None) -> str:
    """SQL for the place of a column's word among `words`."""
    places = " ".join(f"WHEN '{word}' THEN {place}" for place, word in enumerate(words))
    other = f" ELSE {list(words).index(otherwise)}" if otherwise else ""
    return f"CASE {column} {places}{other} END"
