"""The beat schedule in the database: an operator's edit wins over the environment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from celery.exceptions import ImproperlyConfigured
from celery.schedules import BaseSchedule
from django.conf import settings
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from instances.db.clock import SYSTEM
from instances.models import Applied
from tasks.rhythm import Rhythm, rhythm_of
from tasks.schedule_rules import (
    DOCUMENTS,
    NO_ZONE,
    PLACES,
    TOO_LONG,
    document_conflict,
    length,
    place_conflict,
)

SWEEP = "dockmgr sweep"
TASK = "dockmgr.sweep"
VARIABLE = "DOCKMGR_SWEEP_INTERVAL"


def sweep_rhythm() -> Rhythm | None:
    """How often beat sweeps, of whatever kind the schedule is; None when none is enabled."""
    found = [rhythm_of(kept, SYSTEM.now()) for kept in _schedules()]
    if not found:
        return None
    return Rhythm(min(one.shortest for one in found), min(one.longest for one in found))


def _schedules() -> Iterator[BaseSchedule]:
    for entry in PeriodicTask.objects.filter(task=TASK, enabled=True, one_off=False, clocked=None):
        try:
            if not entry_conflict(entry):
                yield entry.schedule
        except (ValueError, ImproperlyConfigured):  # a day that never comes, the sun: beat leaves it out too
            continue


def entry_conflict(entry: PeriodicTask) -> str:
    """Why beat leaves an entry out, in one sentence; empty when it can be carried out."""
    if entry.interval is not None and length(entry.interval.every, entry.interval.period) is None:
        return TOO_LONG
    if entry.crontab is not None and isinstance(entry.crontab.timezone, str):
        return NO_ZONE
    queues = [queue.name for queue in settings.CELERY_TASK_QUEUES]
    of_documents = (document_conflict(field, getattr(entry, field)) for field in DOCUMENTS)
    of_places = (place_conflict(getattr(entry, field), queues) for field in PLACES)
    return next(filter(None, chain(of_documents, of_places)), "")


def sweep_interval() -> float:
    """The most seconds between two sweeps by the schedule in force, else as configured."""
    rhythm = sweep_rhythm()
    return rhythm.longest if rhythm else float(settings.SWEEP_INTERVAL)


def is_scheduled() -> bool:
    """Whether beat has anything that makes it sweep."""
    return sweep_rhythm() is not None


def apply_environment() -> bool:
    """Copy a changed DOCKMGR_SWEEP_INTERVAL into the schedule; True when it did.

    An interval edited in the admin survives restarts, because the environment's value is copied
    only when it is not the one copied last.
    """
    value = str(settings.SWEEP_INTERVAL)
    with transaction.atomic():
        applied, _ = Applied.objects.select_for_update().get_or_create(name=VARIABLE)
        if applied.value == value:
            return False
        interval, _ = IntervalSchedule.objects.get_or_create(
            every=settings.SWEEP_INTERVAL, period=IntervalSchedule.SECONDS
        )
        entry, _ = PeriodicTask.objects.get_or_create(
            name=SWEEP, defaults={"task": TASK, "interval": interval, "kwargs": '{"requested_by": "beat"}'}
        )
        entry.interval, entry.crontab, entry.solar, entry.clocked = interval, None, None, None
        entry.save()
        Applied.objects.filter(pk=VARIABLE).update(value=value)
    return True
