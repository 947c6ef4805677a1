"""What matters around a batch of incidents when it is told: read in a fixed number of queries."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F, Max, Min, Q

from instances.alerts.messages import Extent
from instances.alerts.pagers import pager_at
from instances.alerts.quiet_hours import QuietHours
from instances.alerts.rules import ChannelRules, LastTold, blocked_until
from instances.alerts.unsent import UNSENT
from instances.health.state import CANNOT_REMAKE, NOT_OURS, Status
from instances.incidents import mutes
from instances.incidents.deadlines import being_changed
from instances.incidents.hosts import WAVE, fleet_in_trouble, unsettled_hosts
from instances.incidents.rules import CONTAINER, CRASHING, LOG, OPERATION, OUTSIDE, RESOURCES, Severity
from instances.lib.log_lines import for_terminal
from instances.models import (
    Channel,
    Health,
    Incident,
    IncidentEvent,
    Instance,
    LastWords,
    Notification,
    NotifiedState,
)

logger = logging.getLogger(__name__)
LINES_TOLD, LINE_TOLD = 5, 160  # of a container's last words, in a message
Pair = tuple[int, int]  # an incident and a channel, by their keys


@dataclass(frozen=True)
class BatchContext:
    """By incident: until when nothing is sent (`blocked`), and when somebody was told that it is critical.

    `known` is what each channel was last told of each incident.
    """

    known: dict[Pair, LastTold] = field(default_factory=dict)
    blocked: dict[int, datetime] = field(default_factory=dict)
    critical_since: dict[int, datetime] = field(default_factory=dict)


def channel_rules() -> list[tuple[Channel, ChannelRules]]:
    """Enabled channels with their rules; second lines last, because they depend on the others."""
    rows = Channel.objects.told_of_incidents().defer("url").order_by("pk")
    return sorted(((row, rules_of(row)) for row in rows), key=lambda pair: pair[1].escalate_after or 0)


def with_acknowledging(
    channels: Sequence[tuple[Channel, ChannelRules]], batch: Sequence[Incident]
) -> list[tuple[Channel, ChannelRules]]:
    """The rules with which of the channels are told what was seen; asked only where something was."""
    if not any(incident.is_open and incident.acknowledged_at for incident in batch):
        return list(channels)
    return [(channel, replace(rules, acknowledges=_acknowledges(channel))) for channel, rules in channels]


def _acknowledges(channel: Channel) -> bool:
    pager = pager_at(channel)
    return pager is not None and pager.acknowledges


def read_context(batch: Sequence[Incident], now: datetime) -> BatchContext:
    """What is known of these incidents and what is in the way of notice."""
    known = _known(batch)
    return BatchContext(known, _blocked(batch, now), _critical_since(batch, known))


def read_extents(batch: Sequence[Incident]) -> dict[int, Extent]:
    """How far those of these incidents go that are open, by their ids; most are left out."""
    rows = [row for row in batch if row.is_open]
    left = not_restarted([row.instance_id for row in rows if row.instance_id])
    hosts = _of_hosts([row for row in rows if row.kind == "host"])
    others = {row.pk: left[row.instance_id] for row in rows if row.instance_id in left}
    extents = {**hosts, **others}
    wrote = [row.pk for row in rows if row.kind in ("instance", LOG) or row.cause == CRASHING]
    for pk, lines in _last_lines(wrote).items():
        extents[pk] = replace(extents.get(pk, Extent()), last_lines=lines)
    for pk, used in _at_death([row for row in rows if row.kind == "instance"]).items():
        extents[pk] = replace(extents.get(pk, Extent()), at_death=used)
    return extents


def _at_death(incidents: Sequence[Incident]) -> dict[int, str]:
    """What each incident's container used when it died in the present outage, where that was seen."""
    began = {row.pk: row.down_since for row in incidents if row.down_since}
    events = IncidentEvent.objects.filter(kind=RESOURCES, incident__in=began).order_by("at", "pk")
    known = events.values_list("incident", "at", "text") if began else ()
    return {pk: text for pk, at, text in known if at >= began[pk]}


def _last_lines(incident_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The end of what was kept of each incident's containers last, short and plain enough for a message."""
    if not incident_ids:
        return {}
    rows = LastWords.objects.filter(incident__in=incident_ids)
    newest = rows.order_by().values("incident").annotate(last=Max("pk")).values("last")
    return {
        row.incident_id: tuple(for_terminal(line)[:LINE_TOLD] for line in row.lines[-LINES_TOLD:])
        for row in rows.filter(pk__in=newest)
        if row.incident_id
    }


def not_restarted(instance_ids: Sequence[int]) -> dict[int, Extent]:
    """Instances that nothing restarts automatically, with why not."""
    rows = Health.objects.exclude(reason__in=CANNOT_REMAKE | NOT_OURS)
    rows = rows.filter(Q(status=Status.FAILED) | Q(last_healthy_at=None), pk__in=instance_ids)
    facts = rows.values_list("pk", "status", "last_healthy_at") if instance_ids else ()
    return {
        pk: Extent(
            restarts_used_up=status == Status.FAILED and settings.RESTART_LIMIT > 0,
            never_restarted=settings.RESTART_LIMIT == 0,
            never_healthy=healthy_at is None,
        )
        for pk, status, healthy_at in facts
    }


def _of_hosts(incidents: Sequence[Incident]) -> dict[int, Extent]:
    """How many customers each host's trouble affects: of a wave those that are down, else all it holds."""
    of_wave = [row.host_id for row in incidents if row.cause == WAVE]
    others = [row.host_id for row in incidents if row.cause != WAVE]
    rows = Instance.objects.active().filter(
        Q(host__in=others) | Q(host__in=of_wave, health__down_since__isnull=False)
    )
    affected = Counter(rows.values_list("host_id", flat=True) if incidents else ())
    return {row.pk: Extent(customers=affected[row.host_id or 0]) for row in incidents}


def rules_of(channel: Channel) -> ChannelRules:
    """Whom the channel is for, as its row says; without what takes its URL."""
    quiet = None
    if channel.quiet_from is not None and channel.quiet_to is not None:
        quiet = QuietHours(channel.quiet_from, channel.quiet_to, _zone(channel))
    return ChannelRules(
        min_level=Severity(channel.min_level),
        hosts=frozenset(channel.hosts),
        plans=frozenset(channel.plans),
        customers=frozenset(channel.customers),
        quiet=quiet,
        escalate_after=channel.escalate_after,
    )


def _zone(channel: Channel) -> tzinfo:
    try:
        return ZoneInfo(channel.timezone)
    except (ValueError, KeyError, OSError):
        logger.warning("Channel %s: there is no time zone %r; UTC is taken.", channel, channel.timezone)
        return UTC


def _known(batch: Sequence[Incident]) -> dict[Pair, LastTold]:
    waiting = set(
        Notification.objects.filter(UNSENT, incident__in=batch)
        .order_by()
        .values_list("incident_id", "channel_id")
    )
    rows = NotifiedState.objects.filter(incident__in=batch)
    pairs = (((row.incident_id, row.channel_id), row) for row in rows)
    return {pair: LastTold(row.state, row.at, pair in waiting, row.acknowledged) for pair, row in pairs}


def _blocked(batch: Sequence[Incident], now: datetime) -> dict[int, datetime]:
    covering = set((fleet_in_trouble() | unsettled_hosts()).values_list("kind", "host_id"))
    ids = [incident.pk for incident in batch if incident.kind == "instance"]
    changing = set(
        Incident.objects.filter(being_changed(now), pk__in=ids).order_by().values_list("pk", flat=True)
    )
    muted = mutes.incident_ends(batch, now) if mutes.active(now).exists() else {}
    moments = {
        incident.pk: blocked_until(
            now,
            covered=_is_covered(incident, covering),
            muted_until=muted.get(incident.pk),
            changing=incident.pk in changing,
        )
        for incident in batch
    }
    return {pk: moment for pk, moment in moments.items() if moment is not None}


def _is_covered(incident: Incident, covering: Collection[tuple[str, int | None]]) -> bool:
    if incident.kind not in ("instance", "host", OPERATION, CONTAINER, RESOURCES, OUTSIDE, LOG):
        return False
    by_host = incident.kind != "host" and ("host", incident.host_id) in covering
    return by_host or any(kind == "fleet" for kind, _ in covering)


def _critical_since(batch: Sequence[Incident], known: dict[Pair, LastTold]) -> dict[int, datetime]:
    """Since when it is known to be critical in this stretch: a reminder moves only `NotifiedState.at`."""
    told = Notification.objects.filter(
        incident__in=[incident for incident in batch if incident.severity == Severity.CRITICAL],
        level=Severity.CRITICAL,
        created_at__gte=F("incident__confirmed_at"),
    )
    first = dict(told.order_by().values_list("incident_id").annotate(first=Min("created_at")))
    for (incident_id, _), row in known.items():
        if row.state == Severity.CRITICAL and row.at is not None:
            first[incident_id] = min(first.get(incident_id, row.at), row.at)
    return first
