"""Hours and days in UTC, of moments in UTC. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def hour_of(moment: datetime) -> datetime:
    """When the hour began."""
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """When the day began."""
    return hour_of(moment).replace(hour=0)


def next_day(moment: datetime) -> datetime:
    """The first midnight that is not before the moment."""
    return day_of(moment + DAY - timedelta.resolution)
