"""Incidents of hosts, of the fleet and of dockmgr itself: opened, updated and resolved one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from instances.db.locks import lock_in_order, locked
from instances.incidents.feed import tell_of_incidents
from instances.incidents.rules import (
    AGAIN,
    CONTAINER,
    FLEET,
    LOG,
    OUTSIDE,
    RESOURCES,
    SELF,
    TROUBLE,
    Severity,
    first_told_after,
)
from instances.incidents.writer import IncidentWriter
from instances.models import Host, Incident, Instance, NotifiedState


@dataclass(frozen=True)
class Alarm:
    """What is wrong: what its incident is known by, its kind, and why, as a code and as a sentence.

    It is that of a `host` or an `instance`, where it is about one. It is told after `wait`, None where its
    kind says when; and it is over when nobody has raised it again for `clean`, None where others end it.
    """

    key: str
    kind: str
    cause: str
    message: str
    severity: Severity = Severity.CRITICAL
    host: Host | None = None
    instance: Instance | None = None
    wait: timedelta | None = None
    clean: timedelta | None = None


def last_of(alarm: Alarm, now: datetime) -> Incident | None:
    """Its open incident, or the last one if that is recent enough to be reopened; locked."""
    recent = now - timedelta(seconds=settings.REOPEN_WITHIN)
    rows = Incident.objects.filter(_whose(alarm))
    last = locked(rows).order_by("-opened_at", "-pk").first()
    if last is None or (last.resolved_at is not None and last.resolved_at < recent):
        return None
    return last


def _whose(alarm: Alarm) -> Q:
    """Names change hands: a host's incidents are known by the row they belong to, and are no customer's."""
    if alarm.host is None:
        return Q(key=alarm.key)
    of_kind = f"{alarm.key.partition(':')[0]}:"
    return Q(kind=alarm.kind, host=alarm.host, customer_id="", key__startswith=of_kind)


@transaction.atomic
def open_incident(alarm: Alarm, now: datetime) -> Incident:
    """Open the incident of an alarm, reopen its last one, or bring the open one up to date.

    What is pending is told no later for another cause.
    """
    writer, incident = IncidentWriter(now), last_of(alarm, now)
    if incident is None:
        incident = Incident(key=alarm.key, kind=alarm.kind, host=alarm.host, opened_at=now)
        incident.message = alarm.message
        if alarm.instance is not None:
            _place(incident, alarm.instance)
        writer.opened(incident)
    elif not incident.is_open:
        writer.reopened(incident)
    incident.cause, incident.message = alarm.cause, alarm.message
    incident.down_since = incident.down_since or now
    wait = first_told_after(alarm.kind, alarm.cause, alarm.key) if alarm.wait is None else alarm.wait
    pending, incident.resolve_at = incident.notify_at, None
    writer.raised(incident, alarm.severity, alarm.message)
    incident.notify_at = min(pending or now + wait, now + wait)
    if incident.pk:
        writer.note(incident, "cause", alarm.message)
    writer.save()
    return incident


def _place(incident: Incident, instance: Instance) -> None:
    incident.instance, incident.host_id = instance, instance.host_id
    incident.customer_id = instance.customer_id


def resolve(incident: Incident, resolution: str, now: datetime) -> None:
    """End an incident; what it held back at other incidents is looked at again."""
    held = _ended(incident.pk, resolution, now)
    if held is not None:
        wake(held, now)
        incident.refresh_from_db()


@transaction.atomic
def _ended(key: int, resolution: str, now: datetime) -> Incident | None:
    """The incident, if it was open."""
    held = locked(Incident.objects.filter(pk=key, resolved_at=None)).first()
    if held is not None:
        writer = IncidentWriter(now)
        writer.resolved(held, resolution)
        writer.save()
    return held


@transaction.atomic
def wake(incident: Incident, now: datetime) -> None:
    """Look at once at what waited for a host's or the fleet's incident to be over.

    Call it when the incident is let go: it is locked by key, as all others are, and must not be held before.
    """
    waiting = Incident.objects.filter(notify_at__gt=now).exclude(kind=SELF).exclude(pk=incident.pk)
    if incident.kind == "host" and incident.host_id is not None:
        waiting = waiting.filter(host_id=incident.host_id)
    elif incident.kind != FLEET:
        return
    Incident.objects.filter(pk__in=lock_in_order(waiting)).update(notify_at=now)


@transaction.atomic
def tell_anew(incident: Incident, now: datetime) -> None:
    """Have all who know of it told once more: another matter for people, which nobody has seen to.

    So a second line is told of it no sooner than of the first.
    """
    unseen = {"acknowledged_at": None, "acknowledged_by": "", "confirmed_at": now, "notify_at": now}
    if Incident.objects.filter(pk=incident.pk, resolved_at=None).update(**unseen):
        NotifiedState.objects.filter(incident=incident, state__in=TROUBLE).update(state=AGAIN, at=now)


@transaction.atomic
def add_event(incident: Incident, kind: str, text: str, now: datetime) -> None:
    """One line more in the timeline."""
    tell_of_incidents([incident.events.create(at=now, kind=kind, text=text)])


@transaction.atomic
def close_of(instance: Instance, resolution: str, now: datetime) -> None:
    """End the instance's incidents because nobody looks after the instance any more."""
    own = Incident.objects.filter(
        instance=instance, kind__in=("instance", CONTAINER, RESOURCES, OUTSIDE, LOG), resolved_at=None
    )
    rows = locked(own.order_by("pk"))
    writer = IncidentWriter(now)
    for incident in rows:
        writer.resolved(incident, resolution, abandoned=True)
    writer.save()
