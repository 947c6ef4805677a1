"""Channels, incidents and what was written to the outbox, for the tests of alerts."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from instances.alerts.notify import enqueue_notifications
from instances.models import Channel, Incident, Instance, Notification
from tests.factories import World

HOUR = 3600
NOBODY = "json://127.0.0.1:9/hook"


def a_channel(name: str = "ops", **changes: Any) -> Channel:
    return Channel.objects.create(**{"name": name, "url": NOBODY, **changes})


def change(incident: Incident, now: datetime, **values: Any) -> None:
    """What a change of health would write: the columns, and that there may be something to tell."""
    Incident.objects.filter(pk=incident.pk).update(**{"notify_at": now, **values})
    incident.refresh_from_db()


def resolve(incident: Incident, now: datetime) -> None:
    resolution = "healthy again after one restart and 60 s"
    change(
        incident, now, resolved_at=now, down_since=None, downtime=60, critical_at=None, resolution=resolution
    )


def outbox(but: Collection[uuid.UUID] = (), **wanted: Any) -> list[str]:
    """What was written for channels, oldest first: "ops opened warning c1"."""
    rows = Notification.objects.filter(**wanted).exclude(pk__in=but).select_related("channel", "incident")
    return [
        f"{row.channel} {row.kind} {row.level} {row.incident.customer_id or row.incident.key}"
        if row.incident
        else f"{row.channel} {row.kind} {row.level}"
        for row in rows.order_by("created_at", "incident__pk", "channel__pk")
    ]


def told_after(world: World, seconds: float) -> list[str]:
    """What a flush that many seconds later adds to the outbox."""
    before = list(Notification.objects.order_by().values_list("pk", flat=True))
    world.clock.advance(seconds)
    return outbox(but=before) if enqueue_notifications(world.now) else []


def many(world: World, count: int) -> None:
    """So many instances, each with an incident that was confirmed now; without engines."""
    instances = Instance.objects.bulk_create(
        Instance(
            customer_id=f"m{number}", subdomain=f"m{number}.example.com", plan=world.plan, host=world.host
        )
        for number in range(count)
    )
    world.incidents(instances)
