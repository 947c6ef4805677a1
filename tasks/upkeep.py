"""Clockwork that keeps dockmgr itself in order."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from dockmgr.celery import task
from instances import sweeps
from instances.clock import SYSTEM
from instances.models import HealthCheck, Sweep
from instances.operations.calls import OUTSIDE
from instances.operations.journal import abandoned
from instances.operations.tidying import expired, remove_unused_images
from tasks.operations import enqueue

PURGE_BATCH = 10_000


@task("dockmgr.recover")
def recover() -> None:
    """Hand on operations whose worker died, and close sweeps whose checks got lost."""
    now = SYSTEM.now()
    sweeps.close_overdue(now)
    for operation in abandoned(now):
        enqueue(operation)


@task("dockmgr.tidy_up")
def tidy_up() -> None:
    """Remove throwaway instances past their time, and images nobody needs any more."""
    now = SYSTEM.now()
    for operation in expired(now):
        enqueue(operation)
    remove_unused_images(OUTSIDE.engines, now)


@task("dockmgr.purge_history")
def purge_history() -> int:
    """Delete health history and sweeps older than DOCKMGR_HISTORY_DAYS; returns how many checks."""
    before = SYSTEM.now() - timedelta(days=settings.HISTORY_DAYS)
    old = HealthCheck.objects.filter(checked_at__lt=before).values_list("pk", flat=True)
    deleted = 0
    while ids := list(old[:PURGE_BATCH]):
        deleted += HealthCheck.objects.filter(pk__in=ids).delete()[0]
    Sweep.objects.filter(started_at__lt=before).exclude(state="running").delete()
    return deleted
