"""Clocks that differ: a machine's from the database's, or the present one from those that wrote rows."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, Max, Model, OuterRef

from instances.db.locks import lock_in_order
from instances.db.moments import ahead
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import SELF, clock_key
from instances.lib.clock import AHEAD, Clock
from instances.lib.durations import span
from instances.models import (
    Health,
    Incident,
    Mute,
    Notification,
    NotifiedState,
    OutsideCheck,
    OutsideTransition,
    Pulse,
    Sweep,
    Transition,
)
from instances.monitoring.alarms import raise_alarm

CLOCK = "clock"
CLEAN = timedelta(seconds=60)  # without a difference until the alarm ends
WRITTEN = ((Health, "checked_at"), (Sweep, "started_at"), (Pulse, "at"), (Incident, "opened_at"))
PUT_TO_NOW: tuple[tuple[type[Model], str], ...] = (
    (Sweep, "finished_at"),
    (Pulse, "at"),
    (Incident, "opened_at"),
    (Incident, "down_since"),
    (Incident, "confirmed_at"),
    (Incident, "resolved_at"),
    (OutsideCheck, "failing_since"),
    (NotifiedState, "at"),
)


def judge_clock(clock: Clock, now: datetime) -> None:
    """Raise the alarm about this machine's clock, or about rows from the future, once each.

    What was written ahead of time is put to now, so that nothing waits for it.
    """
    machine, skew = socket.gethostname(), clock.skew()
    if abs(skew) > AHEAD:
        _raise(machine, f"The clock of {machine} is {_difference(skew)} the database's.", now)
    furthest = max(_furthest(model, column, now) for model, column in WRITTEN)
    if furthest > AHEAD:
        by = span(furthest.total_seconds())
        _raise(machine, f"Rows were written {by} ahead of the clock of {machine}: one was or is wrong.", now)
        _put_to_now(now)


def _raise(machine: str, message: str, now: datetime) -> None:
    raise_alarm(Alarm(clock_key(machine), SELF, CLOCK, message, clean=CLEAN), now)


def _difference(skew: timedelta) -> str:
    return f"{span(abs(skew).total_seconds())} {'ahead of' if skew > timedelta(0) else 'behind'}"


def _furthest(model: type[Health | Sweep | Pulse | Incident], column: str, now: datetime) -> timedelta:
    rows = model._default_manager.filter(ahead(column, now))
    last: datetime | None = rows.aggregate(last=Max(column, output_field=DateTimeField()))["last"]
    return last - now if last else timedelta(0)


def _put_to_now(now: datetime) -> None:
    Health.objects.filter(ahead("checked_at", now)).update(checked_at=None)
    Sweep.objects.filter(ahead("started_at", now)).update(started_at=now, slot=None, expires_at=now)
    _compare_afresh(now)
    for model, column in PUT_TO_NOW:
        model._default_manager.filter(ahead(column, now)).update(**{column: now})
    for seen in (Transition, OutsideTransition):
        _put_changes_to_now(seen, now)
    _put_mutes_to_now(now)
    _put_messages_to_now(now)


@transaction.atomic
def _compare_afresh(now: datetime) -> None:
    """What has to wait is put off anew, by the time that is right."""
    waiting = lock_in_order(Incident.objects.filter(notify_at__gt=now))
    Incident.objects.filter(pk__in=waiting).update(notify_at=now)


def _put_changes_to_now(seen: type[Transition] | type[OutsideTransition], now: datetime) -> None:
    """The last change is the one that holds; what came after it, by a clock that was right, is later."""
    rows = seen._default_manager.filter(ahead("at", now))
    later = seen._default_manager.filter(
        instance=OuterRef("instance"), pk__gt=OuterRef("pk"), at__lte=now + AHEAD
    )
    rows.filter(Exists(later)).delete()
    rows.update(at=now)


def _put_mutes_to_now(now: datetime) -> None:
    """They last as long as somebody wanted, and do not begin by themselves some day."""
    for mute in Mute.objects.filter(ahead("starts_at", now)):
        mute.starts_at, mute.until = now, now + (mute.until - mute.starts_at)
        mute.save(update_fields=["starts_at", "until"])


def _put_messages_to_now(now: datetime) -> None:
    """Those that wait stay in their order, and before what is written from now on."""
    waiting = Notification.objects.filter(ahead("created_at", now), sent_at=None, given_up_at=None)
    last: datetime | None = waiting.aggregate(last=Max("created_at"))["last"]
    if last:
        waiting.update(created_at=F("created_at") - (last - now))
