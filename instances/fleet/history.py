"""What keeps the history small: it is moved, rolled up and forgotten in steps, none of which takes long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings

from instances.db import partitions
from instances.fleet import early_sums, former_checks, roll_up
from instances.fleet.history_rules import first_to_keep
from instances.lib.calendar import DAY
from instances.models import HealthCheck

TABLE = HealthCheck._meta.db_table
ROWS_AT_ONCE = 5000


def keep(now: datetime, is_over: Callable[[], bool]) -> int:
    """Make partitions ahead, move what is left of the former table, roll up; returns the number of steps.

    It ends when nothing is left to do or `is_over` says so, after any step, and goes on with the next call.
    """
    if partitions.is_partitioned():
        partitions.make(TABLE, partitions.wanted(now.date()))
    early_sums.take_back(now)
    steps = 0
    while not is_over() and (roll_up.step(now) if former_checks.is_empty() else former_checks.step(now)):
        steps += 1
    return steps


def longest_kept() -> timedelta:
    """After which a check is forgotten even where it was never rolled up."""
    return timedelta(days=max(settings.HISTORY_DAYS, settings.HOURLY_DAYS))


def forget_checks(now: datetime) -> int:
    """Delete checks older than their setting in days that are rolled up; returns how many."""
    kept = timedelta(days=settings.HISTORY_DAYS)
    before = first_to_keep(now, kept, roll_up.reached().get(roll_up.HOURS), longest_kept())
    if not partitions.is_partitioned():
        return _in_steps(lambda: HealthCheck.objects.filter(
            pk__in=HealthCheck.objects.filter(checked_at__lt=before).values("pk")[:ROWS_AT_ONCE]
        ).delete()[0])  # fmt: skip
    over = [day for day in partitions.days(TABLE) if partitions.beginning(day) + DAY <= before]
    dropped = sum(partitions.drop(TABLE, day) or 0 for day in over)
    return dropped + _in_steps(lambda: partitions.delete_from_default(TABLE, before, ROWS_AT_ONCE))


def _in_steps(delete: Callable[[], int]) -> int:
    deleted = 0
    while number := delete():
        deleted += number
    return deleted
