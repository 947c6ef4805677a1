"""Alerts while no channel hears of them: each is logged at its level, once, and noted in its timeline."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from instances.alerts import messages
from instances.alerts.context import read_extents
from instances.alerts.rules import (
    ChannelRules,
    Context,
    Decision,
    IncidentFacts,
    LastTold,
    Notice,
    Timing,
    decide,
)
from instances.incidents.rules import LOGGED, Severity
from instances.models import Incident, IncidentEvent

logger = logging.getLogger(__name__)

RULES = ChannelRules(min_level=Severity.INFO)
LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.CRITICAL: logging.CRITICAL,
}


def tell(
    news: Sequence[tuple[Incident, IncidentFacts, str]],
    blocked: Mapping[int, datetime],
    timing: Timing,
    now: datetime,
) -> None:
    """Log what a channel that hears all would be told of these incidents, by the names of their hosts.

    Nobody is reminded. Also sets when to look at each again. Call it with the incidents locked.
    """
    extents = read_extents([incident for incident, _, _ in news])
    known, events = _last_logged([incident for incident, _, _ in news]), []
    for incident, facts, host in news:
        context = Context(now, timing, blocked.get(incident.pk))
        decision = _decide(facts, known.get(incident.pk, LastTold()), context)
        incident.notify_at = _next_look(decision, now)
        if decision.notice is not None:
            _log(incident, decision.notice, host, now, extents.get(incident.pk))
            events.append(IncidentEvent(incident=incident, at=now, kind=LOGGED, text=decision.notice.state))
    IncidentEvent.objects.bulk_create(events)
    Incident.objects.bulk_update([incident for incident, _, _ in news], ["notify_at"])


def _decide(facts: IncidentFacts, last: LastTold, context: Context) -> Decision:
    """What is logged already is left at that."""
    if facts.resolved_at is None and last.state == facts.severity.value:
        return Decision()
    return decide(facts, RULES, last, context)


def _next_look(decision: Decision, now: datetime) -> datetime | None:
    if decision.notice is not None or decision.look_at is None:
        return None
    return max(decision.look_at, now + timedelta(seconds=1))


def _last_logged(incidents: Sequence[Incident]) -> dict[int, LastTold]:
    rows = IncidentEvent.objects.filter(incident__in=incidents, kind=LOGGED).order_by("at", "pk")
    return {row.incident_id: LastTold(row.text, row.at) for row in rows}


def _log(
    incident: Incident, notice: Notice, host: str, now: datetime, extent: messages.Extent | None
) -> None:
    document = messages.of_incident(uuid.uuid4(), incident, notice, host, now, extent)
    text = "%s %s No channel that is told of incidents is enabled, so nobody else is told."
    said = (document["message"], document["next_step"])
    logger.log(LEVELS[notice.level], text, *said, extra={"customer_id": incident.customer_id})
