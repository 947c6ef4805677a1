"""The documents that channels receive (docs/alerts.md), and the same as text for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings

from instances.alerts import titles
from instances.alerts.next_steps import NOTHING_TO_DO, next_step
from instances.alerts.pagers import OVER
from instances.alerts.rules import ACKNOWLEDGED, Notice
from instances.documents import Document, time
from instances.incidents.from_health import NO_RESTARTS
from instances.incidents.hosts import WAVE
from instances.incidents.rules import (
    CERTIFICATE,
    CONTAINER,
    LOG,
    ORPHANS,
    OUTSIDE,
    RESOURCES,
    Severity,
    worse,
)
from instances.lib.durations import span
from instances.models import Channel, Incident, Notification, Operation

VERSION = 1
MOST_INSIDE = 200
_MOST_LINES = 20
_MOST_CHARACTERS = 1500
_MOST_PLAIN = 200
_CALLS = re.compile(r"[@<]|\](?=\()")

_OF_AN_INCIDENT = (
    "incident_id", "incident_kind", "customer_id", "host", "since", "resolved_at", "downtime_seconds",
    "restarts", "cause", "link", "acknowledged_by",
)  # fmt: skip


@dataclass(frozen=True)
class Extent:
    """How far the trouble goes: how many customers a host holds, and whether nothing restarts an instance,
    because that was tried, because nothing is restarted at all, or because it was never healthy.
    `last_lines` are its container's last words, `at_death` says what it used then.
    """

    restarts_used_up: bool = False
    never_restarted: bool = False
    never_healthy: bool = False
    customers: int | None = None
    last_lines: tuple[str, ...] = ()
    at_death: str = ""

    @property
    def by_hand(self) -> bool:
        return self.restarts_used_up or self.never_restarted or self.never_healthy


def blank(
    identity: UUID, kind: str, level: str, title: str, message: str, next_step: str = NOTHING_TO_DO
) -> Document:
    """A message that is about no incident."""
    head = {"id": str(identity), "version": VERSION, "kind": kind, "level": level}
    text = {"title": title, "message": message, "next_step": next_step, "last_lines": []}
    return {**head, **dict.fromkeys(_OF_AN_INCIDENT), **text}


def of_incident(
    identity: UUID, incident: Incident, notice: Notice, host: str, now: datetime, extent: Extent | None = None
) -> Document:
    """A message about one incident as it is at `now`."""
    extent = extent or Extent()
    title = titles.title(incident, notice.kind, host)
    message = _message(incident, notice.kind, host, now, extent)
    return {
        **blank(identity, notice.kind, notice.level.value, title, message),
        "incident_id": incident.pk,
        "incident_kind": incident.kind,
        "customer_id": incident.customer_id or None,
        "host": host or None,
        "since": time(incident.down_since or incident.opened_at),
        "resolved_at": time(incident.resolved_at),
        "downtime_seconds": round(incident.downtime_until(now), 1),
        "restarts": incident.restarts,
        "cause": incident.cause or None,
        "link": link_to(incident),
        "acknowledged_by": incident.acknowledged_by or None,
        "next_step": next_step(incident, notice.kind, host, by_hand=extent.by_hand),
        "last_lines": [] if notice.kind in (*OVER, ACKNOWLEDGED) else list(extent.last_lines),
    }


def disabled(channel: Channel, reason: str) -> Document:
    """A message about a channel, for the others."""
    title = f"Channel {channel.name} is disabled"
    text = f"Nothing is sent to {channel.name} until it is enabled again: {reason}"
    then = f"Put its URL right, enable it and try it with `manage.py test_channel {channel.name}`."
    return blank(uuid4(), "channel_disabled", "warning", title, text, then)


def row(
    channel: Channel, document: Document, now: datetime, incident: Incident | None = None
) -> Notification:
    """The unsaved line of the outbox that takes a message to a channel."""
    return Notification(
        id=UUID(document["id"]),
        channel=channel,
        incident=incident,
        kind=document["kind"],
        level=document["level"],
        payload=document,
        created_at=now,
    )


def digest(identity: UUID, documents: Sequence[Document]) -> Document:
    """Messages that would have been too many one by one, as one."""
    level = _worst(documents)
    title, titles = f"{len(documents)} messages", _first_titles(documents)
    text = blank(
        identity, "digest", level, title, titles, "See what is open with `manage.py incidents --open`."
    )
    return {**text, "count": len(documents), "messages": list(documents[:MOST_INSIDE])}


def plain(document: Document) -> Document:
    """The same message in few and plain characters, for a receiver that refused the full one: all its lists
    are empty.
    """
    return {name: _plain(value) for name, value in document.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("ascii", "replace").decode()[:_MOST_PLAIN]
    if isinstance(value, dict):
        return plain(value)
    return [] if isinstance(value, list) else value


def as_text(document: Document) -> tuple[str, str]:
    """Title and body for receivers of text; short enough for the shortest of them."""
    inside = document.get("messages", ())
    wrote = [document["message"], *(f"| {line}" for line in document.get("last_lines", ()))]
    lines = [] if inside else [calls_nobody(line) for line in wrote]
    lines += [f"- {each['title']}" for each in inside[:_MOST_LINES]]
    if document.get("count", 0) > _MOST_LINES:
        lines.append(f"… and {document['count'] - _MOST_LINES} more")
    lines += [document[name] for name in ("next_step", "link") if document.get(name)]
    return f"[{document['level']}] {document['title']}", "\n".join(lines)[:_MOST_CHARACTERS]


def calls_nobody(line: str) -> str:
    """What a customer's program may have written, without what chats take for a call, as `@everyone`.

    Nor for a link under another name: `[invoice](https://…)` shows where it leads.
    """
    return _CALLS.sub("\\g<0>\u200b", line)


def _worst(documents: Sequence[Document]) -> str:
    level = Severity.INFO
    for document in documents:
        level = worse(level, document["level"])
    return level.value


def _first_titles(documents: Sequence[Document]) -> str:
    shown = "; ".join(document["title"] for document in documents[:3])
    return f"{shown}; and {len(documents) - 3} more." if len(documents) > 3 else f"{shown}."


def link_to(row: Incident | Operation) -> str | None:
    """The page of a row at the desk; None where nobody said under which address people reach that."""
    if not settings.PUBLIC_URL:
        return None
    return f"{settings.PUBLIC_URL}/admin/instances/{row._meta.model_name}/{row.pk}/change/"


def _message(incident: Incident, kind: str, host: str, now: datetime, extent: Extent) -> str:
    subject = titles.subject(incident, host)
    if kind in OVER:
        ending = incident.resolution or "it has passed"
        is_own = incident.kind == "instance"
        return _sentence(f"{subject}: {ending}" if is_own else f"{ending[:1].upper()}{ending[1:]}")
    if kind == ACKNOWLEDGED:
        return _sentence(f"{incident.acknowledged_by} has seen that {subject} is in trouble")
    if incident.kind in (CERTIFICATE, ORPHANS, RESOURCES, OUTSIDE, LOG):
        return _sentence(incident.message)
    lasts = _how_long(incident, now)
    nobody = "" if kind in ("opened", "flapping") else _unseen(incident)
    why = incident.message or incident.cause or "the reason is not known"
    if incident.kind == CONTAINER:
        return _sentence(why)
    used = f" It was {extent.at_death}." if extent.at_death else ""
    return _sentence(f"{subject} {lasts}{_how_far(extent)}{nobody}: {why}") + used


def _how_long(incident: Incident, now: datetime) -> str:
    if incident.down_since is None:
        return "recovers and fails again"
    is_wave = incident.kind == "host" and incident.cause == WAVE
    trouble = "answers, but has had a wave of failures" if is_wave else "has been in trouble"
    trouble += titles.AGAIN_AND_AGAIN if incident.flapping else ""
    state = "has been down" if incident.kind == "instance" else trouble
    lasted = span(max(0.0, (now - incident.down_since).total_seconds()))
    longest = f", up to {span((now - incident.well_at).total_seconds())}" if incident.well_at else ""
    return f"{state} since {incident.down_since:%H:%M:%S} UTC ({lasted}{longest})"


def _how_far(extent: Extent) -> str:
    if extent.restarts_used_up:
        return " with its automatic restarts used up"
    if extent.never_restarted:
        return f"; {NO_RESTARTS}"
    if extent.never_healthy:
        return " and is not restarted automatically, as it was never seen healthy"
    if extent.customers is None:
        return ""
    return f" and affects {extent.customers} customer{'' if extent.customers == 1 else 's'}"


def _unseen(incident: Incident) -> str:
    return "" if incident.acknowledged_at else ", which nobody has acknowledged"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
