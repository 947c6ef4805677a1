"""What keeps the history small: it is moved, rolled up and forgotten in steps, none of which takes long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Model

from instances.db import partitions
from instances.fleet import former_checks, roll_up
from instances.fleet.history_rules import first_to_keep
from instances.models import CheckDay, CheckHour, HealthCheck

TABLE = HealthCheck._meta.db_table
AT_ONCE = 2000  # instances whose old sums are deleted in one statement
ROWS_AT_ONCE = 5000


def keep(now: datetime, is_over: Callable[[], bool]) -> int:
    """Make partitions ahead, move what is left of the former table, roll up; returns the number of steps.

    It ends when nothing is left to do or `is_over` says so, after any step, and goes on with the next call.
    """
    if partitions.is_partitioned():
        partitions.make(TABLE, partitions.wanted(now.date()))
    steps = 0
    while not is_over() and (former_checks.step(now) or (former_checks.is_empty() and roll_up.step(now))):
        steps += 1
    return steps


def forget_checks(now: datetime) -> int:
    """Delete checks older than their setting in days that are rolled up; returns how many."""
    kept, most = timedelta(days=settings.HISTORY_DAYS), timedelta(days=settings.HOURLY_DAYS)
    before = first_to_keep(now, kept, roll_up.reached(roll_up.HOURS), most)
    if not partitions.is_partitioned():
        return _in_steps(lambda: HealthCheck.objects.filter(
            pk__in=HealthCheck.objects.filter(checked_at__lt=before).values("pk")[:ROWS_AT_ONCE]
        ).delete()[0])  # fmt: skip
    over = [day for day in partitions.days(TABLE) if partitions.beginning(day) + partitions.DAY <= before]
    dropped = sum(partitions.drop(TABLE, day) or 0 for day in over)
    return dropped + _in_steps(lambda: partitions.delete_from_default(TABLE, before, ROWS_AT_ONCE))


def _in_steps(delete: Callable[[], int]) -> int:
    deleted = 0
    while number := delete():
        deleted += number
    return deleted


def forget_sums(now: datetime) -> dict[str, int]:
    """Delete sums older than their settings in days; returns how many."""
    return {
        "hours of checks": _forget(CheckHour, now - timedelta(days=settings.HOURLY_DAYS)),
        "days of checks": _forget(CheckDay, now - timedelta(days=settings.DAILY_DAYS)),
    }


def _forget(model: type[Model], before: datetime) -> int:
    """By the key, which begins with the instance: so no further index is needed."""
    rows = model._default_manager
    last = rows.order_by("-instance_id").values_list("instance_id", flat=True).first() or 0
    return sum(
        rows.filter(instance_id__gte=first, instance_id__lt=first + AT_ONCE, at__lt=before).delete()[0]
        for first in range(0, last + 1, AT_ONCE)
    )
