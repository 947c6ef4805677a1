"""Somebody has seen it: reminders end, a second line need not be told, and services that page hear of it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from instances import lookup
from instances.db.locks import locked
from instances.errors import RequestError
from instances.incidents.writer import IncidentWriter
from instances.models import Incident


@transaction.atomic
def acknowledge(incident_id: int, by: str, now: datetime, reason: str = "") -> Incident:
    """Acknowledge an open incident; the first who did stays on record.

    Raises RequestError when there is none, or when it is over.
    """
    incident = lookup.incident(incident_id, locked(Incident.objects.all()))
    if not incident.is_open:
        raise RequestError(f"Incident {incident_id} is resolved already.")
    if incident.acknowledged_at is None:
        writer = IncidentWriter(now)
        incident.acknowledged_at, incident.acknowledged_by = now, by
        if incident.confirmed_at is not None:
            incident.notify_at = now
        writer.note(incident, "acknowledged", f"by {by}{f': {reason}' if reason else ''}")
        writer.save()
    return incident
