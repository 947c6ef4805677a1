"""Forgetting what is old enough: measurements after weeks, the record of what happened after a year."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import Error as DatabaseFailure
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from instances.db.errors import database_sentence, may_pass, met_others
from instances.fleet import by_instance, history
from instances.models import (
    ApiRequest,
    AuditEntry,
    Bulk,
    CheckDay,
    CheckHour,
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

logger = logging.getLogger(__name__)

EVENTS_KEPT = timedelta(days=2)  # for whoever follows them and was away
ORDERED_BEFORE = timedelta(days=1)  # an operation ends at most so long after it is asked for
BATCH = 1000  # rows deleted in one transaction


def purge(now: datetime) -> dict[str, int]:
    """Delete in batches what is older than its setting in days allows; returns how many, of what could be.

    An open incident, an unfinished operation and the last known availability of an instance stay. What the
    database refuses to delete is logged, and keeps nothing else. Raises its error when it is out of reach.
    """
    deleted: dict[str, int] = {}
    for what, forget in _steps(now).items():
        try:
            deleted[what] = forget()
        except DatabaseFailure as error:
            if may_pass(error) and not met_others(error):
                raise
            logger.error("Old %s could not be deleted. %s", what, database_sentence(error))
    return deleted


def _steps(now: datetime) -> dict[str, Callable[[], int]]:
    """How what is old is deleted, by what it is."""
    return {
        "checks": partial(history.forget_checks, now),
        **{what: partial(by_instance.forget, rows) for what, rows in _of_instances(now).items()},
        **{what: partial(_delete, rows) for what, rows in _others(now).items()},
    }


def _of_instances(now: datetime) -> dict[str, QuerySet[Any]]:
    recorded = now - timedelta(days=settings.RECORD_DAYS)
    return {
        "hours of checks": CheckHour.objects.filter(at__lt=now - timedelta(days=settings.HOURLY_DAYS)),
        "days of checks": CheckDay.objects.filter(at__lt=now - timedelta(days=settings.DAILY_DAYS)),
        "transitions": _superseded(Transition, recorded),
        "transitions from outside": _superseded(OutsideTransition, recorded),
    }


def _others(now: datetime) -> dict[str, QuerySet[Any]]:
    measured = now - timedelta(days=settings.HISTORY_DAYS)
    recorded = now - timedelta(days=settings.RECORD_DAYS)
    return {
        "sweeps": Sweep.objects.filter(started_at__lt=measured).exclude(state="running"),
        "hours of usage": UsageHour.objects.filter(at__lt=now - hours_kept()),
        "days of usage": UsageDay.objects.filter(at__lt=now - timedelta(days=settings.DAILY_DAYS)),
        "last words": LastWords.objects.filter(at__lt=now - timedelta(days=settings.LAST_WORDS_DAYS)),
        "events": FeedEvent.objects.filter(at__lt=now - EVENTS_KEPT).exclude(pk__in=_newest_event()),
        "requests": _requests(measured, recorded),
        "incidents": Incident.objects.filter(resolved_at__lt=recorded),
        "mutes": Mute.objects.filter(until__lt=recorded),
        "notifications": Notification.objects.filter(created_at__lt=recorded),
        "operations": Operation.objects.filter(finished_at__lt=recorded),
        "audit entries": AuditEntry.objects.filter(at__lt=recorded),
        "orders": Bulk.objects.filter(created_at__lt=recorded, due_at=None),
        "logins": Session.objects.filter(expire_date__lt=now),
    }


def _newest_event() -> QuerySet[FeedEvent, int]:
    """It says how far the ids have come: whoever follows events learns by it that some are gone."""
    return FeedEvent.objects.order_by("-pk").values_list("pk", flat=True)[:1]


def _requests(measured: datetime, recorded: datetime) -> QuerySet[ApiRequest]:
    """Those that are not needed to tell another request with an operation's key from its own."""
    kinds = [kind for kind, _ in Operation.KINDS]
    of_operations = Q(action__in=kinds, key__isnull=False)
    return ApiRequest.objects.filter(
        ~of_operations & Q(created_at__lt=measured) | Q(created_at__lt=recorded - ORDERED_BEFORE)
    )


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
