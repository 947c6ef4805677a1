"""Writing down what happens to incidents and operations, for whoever follows it from outside.

Call these in the transaction of the change: what was rolled back never happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from instances.models import FeedEvent, IncidentEvent, Operation


def tell_of_incidents(events: Sequence[IncidentEvent]) -> None:
    """Lines of timelines, in this order."""
    rows = [
        FeedEvent(at=event.at, change=event.kind, text=event.text, incident_id=event.incident_id)
        for event in events
    ]
    FeedEvent.objects.bulk_create(rows, batch_size=500)


def tell_of_operation(operation: Operation, change: str, at: datetime) -> None:
    """A change of an operation's status, in its words."""
    FeedEvent.objects.create(at=at, change=change, operation=operation)
