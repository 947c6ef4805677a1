"""The beat schedule in the database: an operator's edit wins over the environment."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from instances.models import Applied

SWEEP = "dockmgr sweep"
VARIABLE = "DOCKMGR_SWEEP_INTERVAL"


def sweep_interval() -> float:
    """Seconds between sweeps as the schedule in force says, else as configured."""
    entry = PeriodicTask.objects.filter(name=SWEEP).select_related("interval").first()
    if entry is None or entry.interval is None:
        return float(settings.SWEEP_INTERVAL)
    return float(entry.interval.schedule.run_every.total_seconds())


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
            name=SWEEP,
            defaults={"task": "dockmgr.sweep", "interval": interval, "kwargs": '{"requested_by": "beat"}'},
        )
        entry.interval = interval
        entry.save()
        Applied.objects.filter(pk=VARIABLE).update(value=value)
    return True
