"""Clockwork that keeps dockmgr itself in order."""

from __future__ import annotations

import time

from instances.checks import sweeps
from instances.db.clock import SYSTEM
from instances.errors import OutOfReachError
from instances.fleet import bulk as bulk_changing
from instances.fleet import history
from instances.fleet.cleanup import (
    expired,
    learn_digests,
    purge_pending,
    remove_expired,
    remove_unused_images,
)
from instances.fleet.retention import purge
from instances.monitoring.leftovers import end_leftovers
from instances.monitoring.usage_report import roll_up
from instances.operations import service
from instances.operations.hand_over import message_is_lost, take_to_hand_over
from instances.operations.journal import abandoned
from tasks.app import task
from tasks.broker.connection import reaching_broker, require_broker
from tasks.broker.queues import queue_lengths
from tasks.bulk import enqueue_turn
from tasks.operations import enqueue

HISTORY_SECONDS = 60  # of each call


@task("dockmgr.recover")
def recover() -> None:
    """`hand_over` on request; every worker does it beside its work."""
    hand_over()


def hand_over() -> None:
    """Hand on operations and selections whose worker died, and close sweeps whose checks got lost.

    Each once, however many processes do this: what the queue still holds is sent no second time.
    """
    now, waiting = SYSTEM.now(), _waiting()
    sweeps.close_overdue(now)
    for operation in abandoned(now):
        lost = message_is_lost(operation, now, queue_empty=waiting == 0)
        if lost and take_to_hand_over(operation, now):
            enqueue(operation)
    if not waiting:
        for bulk in bulk_changing.take_stalled(now):
            enqueue_turn(bulk)


def _waiting() -> int | None:
    """Messages in the queue of changes; None when the broker can't be asked for that."""
    try:
        return queue_lengths()["operations"]
    except OutOfReachError:
        return None


@task("dockmgr.tidy_up")
def tidy_up() -> None:
    """Remove what is throwaway and past its time, data that was in use, and images nobody needs any more.

    Incidents of which nobody would find out that they are over end.
    """
    now = SYSTEM.now()
    end_leftovers(now)
    for operation in expired(now):
        enqueue(operation)
    remove_expired(service.OUTSIDE.engines, now)
    learn_digests(service.OUTSIDE.engines)
    purge_pending(service.OUTSIDE)
    remove_unused_images(service.OUTSIDE.engines, now)


def enqueue_tidying() -> None:
    """Have the workers tidy up now. Raises OutOfReachError without a broker."""
    require_broker()
    with reaching_broker():
        tidy_up.apply_async(ignore_result=True)


@task("dockmgr.keep_history")
def keep_history() -> int:
    """Roll the history up for a while; returns how many steps were made. The next call goes on."""
    until = time.monotonic() + HISTORY_SECONDS
    return history.keep(SYSTEM.now(), lambda: time.monotonic() > until)


@task("dockmgr.purge_history")
def purge_history() -> dict[str, int]:
    """Roll hours of usage up to days, and delete what is past its days; returns how many of each."""
    now = SYSTEM.now()
    roll_up(now)
    return purge(now)
