"""Forgetting what is old enough: measurements after weeks, the record of what happened after a year."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, Model, OuterRef, QuerySet

from instances.fleet import by_instance, history
from instances.models import (
    ApiRequest,
    AuditEntry,
    FeedEvent,
    Incident,
    LastWords,
    Mute,
    Notification,
    Operation,
    OutsideTransition,
    Sweep,
    Transition,
    UsageDay,
    UsageHour,
)
from instances.monitoring.usage_report import hours_kept

EVENTS_KEPT = timedelta(days=2)  # for whoever follows them and was away
BATCH = 1000  # rows deleted in one transaction


def purge(now: datetime) -> dict[str, int]:
    """Delete in batches what is older than its setting in days allows; returns how many.

    An open incident, an unfinished operation and the last known availability of an instance stay.
    """
    measured = now - timedelta(days=settings.HISTORY_DAYS)
    recorded = now - timedelta(days=settings.RECORD_DAYS)
    return {
        "checks": history.forget_checks(now),
        **history.forget_sums(now),
        "sweeps": _delete(Sweep.objects.filter(started_at__lt=measured).exclude(state="running")),
        "hours of usage": _delete(UsageHour.objects.filter(at__lt=now - hours_kept())),
        "days of usage": _delete(UsageDay.objects.filter(at__lt=now - timedelta(days=settings.DAILY_DAYS))),
        "last words": _delete(
            LastWords.objects.filter(at__lt=now - timedelta(days=settings.LAST_WORDS_DAYS))
        ),
        "events": _delete(FeedEvent.objects.filter(at__lt=now - EVENTS_KEPT)),
        "requests": _delete(ApiRequest.objects.filter(created_at__lt=measured)),
        "transitions": by_instance.forget(_superseded(Transition, recorded)),
        "transitions from outside": by_instance.forget(_superseded(OutsideTransition, recorded)),
        "incidents": _delete(Incident.objects.filter(resolved_at__lt=recorded)),
        "mutes": _delete(Mute.objects.filter(until__lt=recorded)),
        "notifications": _delete(Notification.objects.filter(created_at__lt=recorded)),
        "operations": _delete(Operation.objects.filter(finished_at__lt=recorded)),
        "audit entries": _delete(AuditEntry.objects.filter(at__lt=recorded)),
    }


def _superseded(seen: type[Model], before: datetime) -> QuerySet[Any]:
    """Transitions that tell nothing about the time after `before`."""
    later = seen._default_manager.filter(instance=OuterRef("instance"), at__gt=OuterRef("at"), at__lte=before)
    return seen._default_manager.filter(Exists(later), at__lt=before)


def _delete(rows: QuerySet[Any]) -> int:
    model: type[Model] = rows.model
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
