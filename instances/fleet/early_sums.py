"""Sums that were made ahead of time, by a clock that ran hours fast: they are made again.

Since when it was wrong nobody knows, so all is summed up again of which every check is still kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from instances.db.locks import locked
from instances.db.moments import ahead
from instances.fleet import by_instance
from instances.fleet.roll_up import DAYS, HOURS
from instances.lib.calendar import HOUR, day_of, hour_of, next_day
from instances.models import CheckDay, CheckHour, HealthCheck, HistoryProgress


def take_back(now: datetime) -> None:
    """Put roll-ups that are ahead of now back, and forget what they made since then.

    Until they have caught up, that time is read from its checks.
    """
    early = HistoryProgress.objects.filter(ahead("at", now)).order_by("pk")
    with transaction.atomic():
        if list(locked(early)):
            hour, day = _begin_again(now)
            for name, model, at in ((HOURS, CheckHour, hour), (DAYS, CheckDay, day)):
                HistoryProgress.objects.filter(pk=name, at__gt=at).update(at=at, instance_id=0)
                by_instance.forget(model._default_manager.filter(at__gte=at))


def _begin_again(now: datetime) -> tuple[datetime, datetime]:
    """The first hour whose checks are all kept, and its day if that has all its hours."""
    hourly, history = (now - timedelta(days=kept) for kept in (settings.HOURLY_DAYS, settings.HISTORY_DAYS))
    oldest = HealthCheck.objects.order_by("checked_at").values_list("checked_at", flat=True).first() or now
    hour = min(hour_of(max(oldest, history, hourly)) + HOUR, hour_of(now))
    return hour, max(day_of(hour), next_day(hourly))
