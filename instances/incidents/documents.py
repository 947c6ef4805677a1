"""The JSON documents of incidents, mutes and uptime: INCIDENT, MUTE, UPTIME."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from instances.documents import Document, last_words, shapes, time
from instances.incidents import mutes
from instances.incidents.uptime import UptimeLine, UptimeReport
from instances.incidents.uptime_rules import Uptime
from instances.models import Incident, Mute


def incidents(
    rows: QuerySet[Incident], now: datetime, *, events: bool = False, words: bool = False
) -> list[shapes.Incident]:
    """INCIDENTs, in a bounded number of queries; `events` adds the timeline of each, `words` last words."""
    rows = rows.select_related("host", "instance__plan", "instance__host")
    rows = rows.defer("instance__env", "instance__adopted", "instance__plan__env")
    also = [name for name, wanted in (("events", events), ("last_words", words)) if wanted]
    found = list(rows.prefetch_related(*also) if also else rows)
    muted = mutes.incident_ends([row for row in found if row.is_open], now)
    return [_incident(row, muted.get(row.pk), now, events=events, words=words) for row in found]


def incident(row: Incident, now: datetime) -> shapes.Incident:
    """INCIDENT: what is or was wrong, for how long, who knows, and its timeline."""
    [document] = incidents(Incident.objects.filter(pk=row.pk), now, events=True)
    return document


def mute(row: Mute) -> Document:
    """MUTE: what is muted, until when, by whom and why."""
    given = {"customer_id": row.instance, "host": row.host, "plan": row.plan}
    scope, name = next((scope, str(target)) for scope, target in given.items() if target is not None)
    return {
        "scope": scope,
        "name": name,
        "starts_at": time(row.starts_at),
        "until": time(row.until),
        "by": row.by,
        "reason": row.reason or None,
    }


def uptime(report: UptimeReport) -> Document:
    """UPTIME of each instance, each plan and all, in a period; times in seconds."""
    return {
        "since": time(report.since),
        "until": time(report.until),
        "instances": [
            {
                "customer_id": line.customer_id,
                "plan": line.plan,
                **_uptime(line.uptime),
                "outside": _outside(line.outside),
            }
            for line in report.lines
        ],
        "plans": [{"plan": plan, **_sum(lines)} for plan, lines in report.plans.items()],
        "all": _sum(report.lines),
    }


def _incident(
    row: Incident, muted_until: datetime | None, now: datetime, *, events: bool, words: bool
) -> shapes.Incident:
    instance, host = row.instance, row.host or (row.instance and row.instance.host)
    document: shapes.Incident = {
        "id": row.pk,
        "key": row.key,
        "kind": row.kind,
        "customer_id": row.customer_id or None,
        "host": host.name if host else None,
        "plan": instance.plan.name if instance else None,
        "severity": row.severity,
        "status": "open" if row.is_open else "resolved",
        "cause": row.cause or None,
        "message": row.message or None,
        "opened_at": time(row.opened_at),
        "confirmed_at": time(row.confirmed_at),
        "resolved_at": time(row.resolved_at),
        "downtime_seconds": round(row.downtime_until(now), 1),
        "restarts": row.restarts,
        "flapping": row.flapping,
        "acknowledged_at": time(row.acknowledged_at),
        "acknowledged_by": row.acknowledged_by or None,
        "muted_until": time(muted_until),
        "resolution": row.resolution or None,
    }
    if events:
        document["events"] = _events(row, now)
    if words:
        document["last_words"] = [last_words(each) for each in row.last_words.all()]
    return document


def _events(row: Incident, now: datetime) -> list[shapes.Event]:
    return [
        {"at": time(event.shown_at(now)), "kind": event.kind, "text": event.text}
        for event in row.events.all()
    ]


def _sum(lines: list[UptimeLine]) -> dict[str, Any]:
    outside = sum((line.outside for line in lines), Uptime())
    return {
        "instances": len(lines),
        **_uptime(sum((line.uptime for line in lines), Uptime())),
        "outside": _outside(outside),
    }


def _outside(found: Uptime) -> Document | None:
    """The same as customers saw it; None where no public address was asked."""
    return _uptime(found) if found.up or found.down or found.unknown else None


def _uptime(found: Uptime) -> Document:
    recovery = found.mean_time_to_recover
    return {
        "uptime_percent": found.percent,
        "uptime_seconds": round(found.up, 1),
        "downtime_seconds": round(found.down, 1),
        "unknown_seconds": round(found.unknown, 1),
        "unwatched_seconds": round(found.unwatched, 1),
        "outages": found.outages,
        "mean_time_to_recover_seconds": None if recovery is None else round(recovery, 1),
        "down_since": time(found.down_since),
        "restarts": found.restarts,
        "restarts_helped": found.restarts_helped,
    }
