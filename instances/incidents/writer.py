"""Incidents changed together and written at once, each with its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from instances.db.write_back import write_back
from instances.incidents.feed import tell_of_incidents
from instances.incidents.rules import KNOWS_TROUBLE, LOGGED, TROUBLE, worse
from instances.models import Incident, IncidentEvent, NotifiedState

WRITTEN = (
    "severity",
    "cause",
    "message",
    "down_since",
    "confirmed_at",
    "resolved_at",
    "resolution",
    "downtime",
    "downtime_at_most",
    "well_at",
    "restarts",
    "flapping",
    "acknowledged_at",
    "acknowledged_by",
    "critical_at",
    "resolve_at",
    "notify_at",
)


class IncidentWriter:
    """Changes to incidents at one moment. Use it inside the transaction of what caused them.

    Rows must have been read under a lock. Nothing is written before `save`.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._new: list[Incident] = []
        self._changed: dict[int, Incident] = {}
        self._events: list[IncidentEvent] = []
        self._ends: list[Incident] = []  # to be told where the beginning was

    def opened(self, incident: Incident) -> None:
        """A new incident begins."""
        self._new.append(incident)
        self.note(incident, "opened", incident.message)

    def reopened(self, incident: Incident) -> None:
        """It failed again before it was really over: unconfirmed anew, with the severity it had."""
        incident.resolved_at = incident.resolve_at = incident.confirmed_at = incident.notify_at = None
        incident.acknowledged_at, incident.acknowledged_by, incident.resolution = None, "", ""
        self.note(incident, "reopened", incident.message)

    def raised(self, incident: Incident, severity: str, why: str) -> None:
        """It became worth telling, or worse. Nothing is told before the hold of this stretch is over."""
        higher = worse(incident.severity, severity)
        if higher != incident.severity:
            self.note(incident, "severity", f"{higher}: {why}")
        incident.severity = higher
        incident.confirmed_at = incident.confirmed_at or self.now
        incident.notify_at = self._after_hold(incident.confirmed_at)

    def ended(self, incident: Incident) -> None:
        """The present stretch of being down is over; the incident may not be."""
        self._stretch_over(incident)
        if incident.flapping:
            clean = self.now + timedelta(seconds=settings.FLAPPING_CLEAN)
            incident.resolve_at = incident.resolve_at or clean  # a host's counts from before its grace
            self.note(incident, "recovered", "it flaps: resolved when it has stayed healthy")

    def resolved(self, incident: Incident, resolution: str, *, abandoned: bool = False) -> None:
        """It is over, or, when `abandoned`, nobody looks any more: then no restart is told to have helped."""
        self._stretch_over(incident)
        incident.resolve_at = incident.notify_at = None
        incident.resolved_at, incident.resolution = self.now, resolution
        if not abandoned:
            incident.notify_at = self._end_told_at(incident)
        if incident.pk and incident.notify_at is None and incident.severity in TROUBLE:
            self._ends.append(incident)
        self.note(incident, "resolved", resolution)

    def _end_told_at(self, incident: Incident) -> datetime | None:
        if incident.kind != "instance":
            return self.now
        if incident.confirmed_at or incident.restarts:
            return self._after_hold(incident.confirmed_at or self.now)
        return None

    def _stretch_over(self, incident: Incident) -> None:
        # The longest first: it is counted from the shortest.
        incident.downtime_at_most = incident.downtime_at_most_until(self.now)
        incident.downtime = incident.downtime_until(self.now)
        incident.down_since = incident.well_at = incident.critical_at = None

    def note(self, incident: Incident, kind: str, text: str, at: datetime | None = None) -> None:
        """A line of the timeline, of now or of `at`; the incident itself is written as well."""
        event = IncidentEvent(incident=incident, at=at or self.now, kind=kind, text=text)
        self._events.append(event)
        if incident.pk:
            self._changed[incident.pk] = incident

    def save(self) -> None:
        told = _told_of_trouble(self._ends)
        for incident in self._ends:
            incident.notify_at = self.now if incident.pk in told else None
        Incident.objects.bulk_create(self._new)
        write_back(self._changed.values(), WRITTEN)
        for event in self._events:
            event.incident_id = event.incident.pk
        IncidentEvent.objects.bulk_create(self._events)
        tell_of_incidents(self._events)

    def _after_hold(self, since: datetime) -> datetime:
        return max(self.now, since + timedelta(seconds=settings.HOLD))


def _told_of_trouble(incidents: Sequence[Incident]) -> set[int]:
    """Those of which a channel, or who reads the log, has heard that they go on."""
    if not incidents:
        return set()
    channels = NotifiedState.objects.filter(incident__in=incidents, state__in=KNOWS_TROUBLE)
    logged = IncidentEvent.objects.filter(incident__in=incidents, kind=LOGGED, text__in=TROUBLE)
    return {pk for told in (channels, logged) for pk in told.order_by().values_list("incident", flat=True)}


def deadline(down_since: datetime) -> datetime:
    """When an outage that began then becomes critical by its length alone."""
    return down_since + timedelta(seconds=settings.CRITICAL_AFTER)
