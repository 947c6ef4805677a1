"""Mute an instance, a host or a plan for a while: nothing is sent for it and nothing is healed there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet

from instances import lookup
from instances.alerts.notify import requeue
from instances.db.locks import lock_in_order
from instances.errors import RequestError
from instances.incidents import mutes
from instances.incidents.feed import tell_of_incidents
from instances.lib import durations
from instances.models import Host, Incident, IncidentEvent, Instance, Mute, Plan
from instances.models.incident import IncidentQuerySet

LONGEST = timedelta(days=30)
REACH = {"instance": "instance", "host": "host", "plan": "instance__plan"}


@dataclass(frozen=True)
class Scope:
    """What a mute covers: one instance, or all of a host or of a plan."""

    column: Literal["instance", "host", "plan"]
    row: Instance | Host | Plan

    @property
    def name(self) -> str:
        return str(self.row)

    def mutes(self, now: datetime) -> QuerySet[Mute]:
        """The mutes of exactly this scope that are in force."""
        return mutes.active(now).filter(**{self.column: self.row})

    def incidents(self) -> IncidentQuerySet:
        """Incidents the scope covers; those of instances name their host as well."""
        return Incident.objects.filter(**{REACH[self.column]: self.row})


def scope(customer_id: str | None = None, host: str | None = None, plan: str | None = None) -> Scope:
    """The scope that exactly one of the names stands for. Raises RequestError."""
    if [customer_id, host, plan].count(None) != 2:
        raise RequestError("Name one of a customer id, a host and a plan.")
    if customer_id is not None:
        return Scope("instance", lookup.instance(customer_id))
    if host is not None:
        return Scope("host", lookup.host(host))
    return Scope("plan", lookup.plan(plan))


def end(lasts: str | None, until: str | None, now: datetime) -> datetime:
    """The moment that `lasts` (`2h`) or else `until` (an RFC 3339 time) stands for. Raises RequestError."""
    after = durations.length(lasts)
    parsed = now + after if after is not None else durations.moment(until)
    if parsed is None:
        raise RequestError("The end must be given as 30m, 2h, 1d or as an RFC 3339 time with its zone.")
    return parsed


@transaction.atomic
def mute(scope: Scope, until: datetime, now: datetime, *, by: str, reason: str = "") -> Mute:
    """Mute the scope until then, whatever its end was before; at most 30 days. Raises RequestError."""
    if not now < until <= now + LONGEST:
        raise RequestError(f"A mute must end in the future, within {LONGEST.days} days.")
    _take(scope)
    replaced = _finish(scope, now)
    row = Mute(starts_at=now, until=until, by=by[:64], reason=reason[:255])
    setattr(row, scope.column, scope.row)
    row.save()
    _note(scope, "muted", f"until {until:%Y-%m-%d %H:%M} UTC by {by}{f': {reason}' if reason else ''}", now)
    if replaced:  # what waits for the end of the old one may have to wait less
        requeue(scope.incidents(), now)
    return row


@transaction.atomic
def unmute(scope: Scope, now: datetime, *, by: str, reason: str = "") -> bool:
    """End the scope's own mute; what it held back goes out. False when it had none.

    An instance may stay muted by its host or its plan.
    """
    _take(scope)
    ended = _finish(scope, now)
    if ended:
        _note(scope, "unmuted", f"by {by}{f': {reason}' if reason else ''}", now)
        requeue(scope.incidents(), now)
    return ended


def _take(scope: Scope) -> None:
    """Two who mute the same wait here for each other: else both mutes would be in force."""
    rows: QuerySet[Any] = type(scope.row)._default_manager.filter(pk=scope.row.pk)
    if not lock_in_order(rows):
        raise RequestError(f"The {scope.column} {scope.name} was removed meanwhile.")


def _finish(scope: Scope, now: datetime) -> bool:
    """The rows stay as a record of who muted what, unless they never lasted.

    Who waited for others looked at the clock before them: theirs begin later, and end as well.
    """
    lasting: QuerySet[Mute] = Mute.objects.filter(**{scope.column: scope.row}, until__gt=now)
    at_once, _ = lasting.filter(starts_at__gte=now).delete()
    return bool(lasting.update(until=now) + at_once)


def _note(scope: Scope, kind: str, text: str, now: datetime) -> None:
    """A line in the timeline of each open incident it concerns, with the scope where that is wider."""
    place = "" if scope.column == "instance" else f"{scope.column} {scope.name} "
    lines = [
        IncidentEvent(incident=incident, at=now, kind=kind, text=f"{place}{text}")
        for incident in scope.incidents().open().only("pk")
    ]
    IncidentEvent.objects.bulk_create(lines, batch_size=500)
    tell_of_incidents(lines)
