"""Incidents of hosts, of the fleet and of dockmgr itself: opened, updated and resolved one by one."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from instances.db.locks import lock_in_order, locked
from instances.incidents.feed import tell_of_incidents
from instances.incidents.rules import (
    CONTAINER,
    FLEET,
    LOG,
    OUTSIDE,
    RESOURCES,
    SELF,
    Severity,
    first_told_after,
)
from instances.incidents.writer import IncidentWriter
from instances.models import Host, Incident, Instance


def last_of(key: str, now: datetime, kind: str = "", *, host: Host | None = None) -> Incident | None:
    """The open incident, or the last one if that is recent enough to be reopened; locked."""
    recent = now - timedelta(seconds=settings.REOPEN_WITHIN)
    rows = Incident.objects.filter(_whose(key, kind, host))
    last = locked(rows).order_by("-opened_at", "-pk").first()
    if last is None or (last.resolved_at is not None and last.resolved_at < recent):
        return None
    return last


def _whose(key: str, kind: str, host: Host | None) -> Q:
    """Names change hands: a host's incidents are known by the row they belong to, and are no customer's."""
    if host is None:
        return Q(key=key)
    return Q(kind=kind, host=host, customer_id="", key__startswith=f"{key.partition(':')[0]}:")


@transaction.atomic
def open_incident(
    key: str,
    kind: str,
    severity: Severity,
    cause: str,
    message: str,
    now: datetime,
    *,
    host: Host | None = None,
    instance: Instance | None = None,
    notify_at: datetime | None = None,
) -> Incident:
    """Open the key's incident, reopen its last one, or bring the open one up to date.

    Told when its kind says, unless `notify_at` says when, and never later for another cause. `instance` is
    whose it is, where it is about one.
    """
    writer, incident = IncidentWriter(now), last_of(key, now, kind, host=host)
    if incident is None:
        incident = Incident(key=key, kind=kind, host=host, opened_at=now)
        incident.message = message
        if instance is not None:
            _place(incident, instance)
        writer.opened(incident)
    elif not incident.is_open:
        writer.reopened(incident)
    _describe(incident, cause, message, now)
    notify_at = notify_at or now + first_told_after(kind, cause, key)
    pending, incident.resolve_at = incident.notify_at, None
    writer.raised(incident, severity, message)
    incident.notify_at = min(pending or notify_at, notify_at)
    if incident.pk:
        writer.note(incident, "cause", message)
    writer.save()
    return incident


def _place(incident: Incident, instance: Instance) -> None:
    incident.instance, incident.host_id = instance, instance.host_id
    incident.customer_id = instance.customer_id


def _describe(incident: Incident, cause: str, message: str, now: datetime) -> None:
    incident.cause, incident.message = cause, message
    incident.down_since = incident.down_since or now


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
        if held.kind != "instance":
            held.notify_at = now
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
