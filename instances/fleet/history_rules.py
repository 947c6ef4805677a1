"""When a stretch of the history is rolled up, and what of it may go. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTLED = timedelta(minutes=30)  # after an hour: a look may tell late since when somebody is down


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    return hour_of(moment).replace(hour=0)


def hour_is_due(hour: datetime, now: datetime) -> bool:
    """Whether nothing more is expected of an hour."""
    return hour + HOUR + SETTLED <= now


def day_is_due(day: datetime, hours_done: datetime) -> bool:
    """Whether a day has all its hours, which are rolled up until `hours_done`."""
    return day + DAY <= hours_done


def first_to_keep(now: datetime, kept: timedelta, rolled_up: datetime | None, at_most: timedelta) -> datetime:
    """Before when checks may go: older than `kept` and rolled up, or older than `at_most` in any case."""
    measured = now - kept
    if rolled_up is None or rolled_up > measured:
        return measured
    return min(measured, max(rolled_up, now - at_most))
