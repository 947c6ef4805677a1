"""Sweeps: when one is due, who may start it, what it found."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from instances.db.moments import ahead
from instances.errors import BusyError
from instances.lib.clock import AHEAD
from instances.models import Sweep

LEAST_LIFETIME = 15.0
ATTENDED_LIFETIME = timedelta(seconds=60)


def next_slot(last: datetime | None, now: datetime, interval: float) -> datetime | None:
    """The time slot a beat at `now` stands for, or None when that slot has been swept.

    Slots lie on a grid of `interval` seconds through the last one. A beat belongs to the nearest
    slot: so two beats out of step make one sweep an interval, and a beat that comes a little early
    or late is not lost. Without a last slot the grid starts at the epoch. So it does where the last one
    lies in the future, as a clock that ran fast has written it.
    """
    if last is None or last > now + timedelta(seconds=interval) + AHEAD:
        return datetime.fromtimestamp(round(now.timestamp() / interval) * interval, UTC)
    steps = round((now - last).total_seconds() / interval)
    return last + timedelta(seconds=steps * interval) if steps >= 1 else None


def lifetime(interval: float) -> timedelta:
    """How long a sweep may take before it is closed as incomplete: not quite an interval, at least 15 s."""
    return timedelta(seconds=max(0.95 * interval, LEAST_LIFETIME))


def keep(sweep: Sweep, now: datetime) -> None:
    """Whoever attends a sweep is still there."""
    Sweep.objects.filter(pk=sweep.pk).update(expires_at=now + ATTENDED_LIFETIME)


def start(
    now: datetime, interval: float, *, by: str = "beat", scheduled: bool = False, attended: bool = False
) -> Sweep:
    """A new running sweep. `scheduled` ones take the slot of their interval.

    Raises BusyError when one is running or the slot was taken.
    """
    close_overdue(now)
    _free_slots(now, interval)
    slot = _slot(now, interval) if scheduled else None
    try:
        with transaction.atomic():
            return Sweep.objects.create(
                id=uuid.uuid4(),
                slot=slot,
                requested_by=by[:64],
                attended=attended,
                started_at=now,
                expires_at=now + (ATTENDED_LIFETIME if attended else lifetime(interval)),
            )
    except IntegrityError:
        raise BusyError(_who_is_running() or "This interval's sweep was already made.") from None


def _free_slots(now: datetime, interval: float) -> None:
    """Slots taken ahead of time, by a clock that ran fast, are still to be swept."""
    Sweep.objects.filter(slot__gt=now + timedelta(seconds=interval) + AHEAD).update(slot=None)


def _slot(now: datetime, interval: float) -> datetime:
    last = Sweep.objects.exclude(slot=None).order_by("-slot").values_list("slot", flat=True).first()
    slot = next_slot(last, now, interval)
    if slot is None:
        raise BusyError("This interval's sweep was already made.")
    return slot


def _who_is_running() -> str:
    running = Sweep.objects.filter(state="running").first()
    if running is None:
        return ""
    return (
        f"A sweep is already running: {running.done} of {running.total} instances checked "
        f"since {running.started_at:%H:%M:%S} UTC."
    )


def close_overdue(now: datetime) -> int:
    """Close sweeps whose time is over although checks are outstanding; returns how many."""
    over = Q(expires_at__lt=now) | ahead("started_at", now)
    overdue = Sweep.objects.filter(over, state="running")
    return overdue.update(state="incomplete", finished_at=now)


def finish(sweep: Sweep, now: datetime) -> None:
    """Close a sweep that has nothing outstanding (or nothing to do)."""
    Sweep.objects.filter(pk=sweep.pk, state="running").update(state="finished", finished_at=now)


def break_off(sweep: Sweep, now: datetime) -> None:
    """Close a sweep that is running still, for whoever attended it did not see it to its end."""
    Sweep.objects.filter(pk=sweep.pk, state="running").update(state="incomplete", finished_at=now)
