"""Clockwork that keeps dockmgr itself in order."""

from __future__ import annotations

from instances.checks import sweeps
from instances.db.clock import SYSTEM
from instances.fleet import bulk as bulk_changing
from instances.fleet.cleanup import expired, remove_unused_images
from instances.fleet.retention import purge
from instances.operations import service
from instances.operations.journal import abandoned
from tasks.app import task
from tasks.bulk import enqueue_turn
from tasks.operations import enqueue


@task("dockmgr.recover")
def recover() -> None:
    """Hand on operations and selections whose worker died, and close sweeps whose checks got lost."""
    now = SYSTEM.now()
    sweeps.close_overdue(now)
    for operation in abandoned(now):
        enqueue(operation)
    for bulk in bulk_changing.stalled(now):
        enqueue_turn(bulk)


@task("dockmgr.tidy_up")
def tidy_up() -> None:
    """Remove throwaway instances past their time, and images nobody needs any more."""
    now = SYSTEM.now()
    for operation in expired(now):
        enqueue(operation)
    remove_unused_images(service.OUTSIDE.engines, now)


@task("dockmgr.purge_history")
def purge_history() -> dict[str, int]:
    """Delete measurements and records past their days; returns how many of each."""
    return purge(SYSTEM.now())
