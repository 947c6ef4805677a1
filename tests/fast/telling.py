"""Channels, incidents and what was written to the outbox, for the tests of alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from instances.alerts.flushing import flush
from instances.incident_rules import Severity
from instances.incidents.rows import open_incident
from instances.models import Channel, Host, Incident, Instance, Notification
from tests.factories import World

HOUR = 3600
NOBODY = "json://127.0.0.1:9/hook"


def a_channel(name: str = "ops", **changes: Any) -> Channel:
    return Channel.objects.create(**{"name": name, "url": NOBODY, **changes})


def an_incident(world: World, instance: Instance, severity: str = "warning", **changes: Any) -> Incident:
    """An instance's incident that was confirmed now."""
    usual = {
        "key": f"health:{instance.customer_id}",
        "kind": "instance",
        "instance": instance,
        "host": instance.host,
        "customer_id": instance.customer_id,
        "severity": severity,
        "cause": "refused",
        "message": "The connection was refused.",
        "opened_at": world.now - timedelta(seconds=60),
        "down_since": world.now - timedelta(seconds=60),
        "critical_at": world.now + timedelta(seconds=540),
        "confirmed_at": world.now,
        "notify_at": world.now + timedelta(seconds=30),
    }
    return Incident.objects.create(**{**usual, **changes})


def change(incident: Incident, now: datetime, **values: Any) -> None:
    """What a change of health would write: the columns, and that there may be something to tell."""
    Incident.objects.filter(pk=incident.pk).update(**{"notify_at": now, **values})
    incident.refresh_from_db()


def resolve(incident: Incident, now: datetime) -> None:
    resolution = "healthy again after one restart and 60 s"
    change(
        incident, now, resolved_at=now, down_since=None, downtime=60, critical_at=None, resolution=resolution
    )


def outbox(**wanted: Any) -> list[str]:
    """What was written for channels, oldest first: "ops opened warning c1"."""
    rows = Notification.objects.filter(**wanted).select_related("channel", "incident")
    return [
        f"{row.channel} {row.kind} {row.level} {row.incident.key.removeprefix('health:')}"
        if row.incident
        else f"{row.channel} {row.kind} {row.level}"
        for row in rows.order_by("created_at", "incident__pk", "channel__pk")
    ]


def told_after(world: World, seconds: float) -> list[str]:
    """What a flush that many seconds later adds to the outbox."""
    before = set(Notification.objects.values_list("pk", flat=True))
    world.clock.advance(seconds)
    flush(world.now)
    return outbox(pk__in=set(Notification.objects.values_list("pk", flat=True)) - before)


def host_down(world: World, host: Host | None = None) -> Incident:
    """The incident of a host (the usual one) whose engine is out of reach."""
    host = host or world.host
    return open_incident(
        f"host:{host.name}", "host", Severity.CRITICAL, "engine", "The engine does not answer.", world.now,
        host=host,
    )  # fmt: skip


def many(world: World, count: int) -> None:
    """So many instances, each with an incident that was confirmed now; without engines."""
    instances = Instance.objects.bulk_create(
        Instance(
            customer_id=f"m{number}", subdomain=f"m{number}.example.com", plan=world.plan, host=world.host
        )
        for number in range(count)
    )
    Incident.objects.bulk_create(
        Incident(
            key=f"health:{instance.customer_id}", kind="instance", instance=instance, host=world.host,
            customer_id=instance.customer_id, severity="warning", opened_at=world.now,
            down_since=world.now, confirmed_at=world.now, notify_at=world.now + timedelta(seconds=30),
        )
        for instance in instances
    )  # fmt: skip
