"""From incidents to messages: what each channel does not know yet is written to the outbox."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from instances.alerts import log_only, messages
from instances.alerts.context import channel_rules, read_context, read_extents, with_acknowledging
from instances.alerts.rules import (
    ChannelRules,
    Context,
    Decision,
    IncidentFacts,
    Labels,
    LastTold,
    Notice,
    Timing,
    concerns,
    decide,
)
from instances.db.locks import lock_in_order, locked
from instances.incidents.rules import (
    AGAIN,
    FLEET,
    KNOWS_TROUBLE,
    SELF,
    Severity,
    first_told_after,
    host_in,
)
from instances.models import Channel, Incident, Notification, NotifiedState

BATCH = 200
WIDE = (FLEET, "host", SELF)  # told first: they hold the others back, or release them


def enqueue_notifications(now: datetime) -> int:
    """Write what channels should be told by now; returns how many messages.

    Any number of processes may do this at once: a batch of incidents is locked while it is told.
    """
    if not Incident.objects.filter(notify_at__lte=now).exists():
        return 0
    is_wide = Q(kind__in=WIDE)
    return _drain(is_wide, now) + _drain(~is_wide, now)


@transaction.atomic(savepoint=False)
def requeue(incidents: QuerySet[Incident], now: datetime) -> None:
    """Compare what channels know of these incidents afresh: a mute, a channel or its rules changed."""
    keys = lock_in_order(incidents.filter(to_compare(now)))
    Incident.objects.filter(pk__in=keys).update(notify_at=now)


def to_compare(now: datetime) -> Q:
    """Incidents of which there may be something to tell."""
    is_wrong = Q(resolved_at=None, confirmed_at__isnull=False)
    return is_wrong | Q(notify_at__gt=now) | Q(pk__in=_ends_untold())


def _ends_untold() -> QuerySet[NotifiedState, Any]:
    """What is over, while a channel that hears of incidents still takes it for wrong."""
    told = NotifiedState.objects.filter(state__in=KNOWS_TROUBLE, incident__resolved_at__isnull=False)
    return told.filter(channel__in=Channel.objects.told_of_incidents()).values("incident")


def _drain(which: Q, now: datetime) -> int:
    written, taken = 0, BATCH
    while taken == BATCH:
        taken, messages_written = _tell_next(which, now)
        written += messages_written
    return written


def _tell_next(which: Q, now: datetime) -> tuple[int, int]:
    """How many incidents the next batch holds, and how many messages it became."""
    try:
        return _tell(which, now)
    except IntegrityError:  # a channel was deleted after it was read, which the commit finds out
        return _tell(which, now)


@transaction.atomic
def _tell(which: Q, now: datetime) -> tuple[int, int]:
    batch = _take(which, now)
    return len(batch), _Batch(batch, now).tell() if batch else 0


def _take(which: Q, now: datetime) -> list[Incident]:
    # In the order of the index: a rank of kinds would sort all that is due for every batch.
    rows = locked(Incident.objects.filter(which, notify_at__lte=now), skip_locked=True)
    rows = rows.annotate(host_name=F("host__name"), plan_name=F("instance__plan__name"))
    return list(rows.order_by("notify_at", "pk")[:BATCH])


@dataclass(frozen=True)
class _Item:
    """One incident's news for one channel."""

    channel: Channel
    incident: Incident
    notice: Notice


class _Batch:
    """A batch of incidents, told in one transaction."""

    def __init__(self, incidents: Sequence[Incident], now: datetime) -> None:
        self._incidents, self._now = incidents, now
        self._context = read_context(incidents, now)
        self._critical_since = dict(self._context.critical_since)
        self._timing = Timing(settings.HOLD, settings.REMIND_CRITICAL, settings.REMIND_WARNING)

    def tell(self) -> int:
        channels = with_acknowledging(channel_rules(), self._incidents)
        if not channels:
            return self._log()
        items = [item for incident in self._incidents for item in self._items(incident, channels)]
        extents = read_extents([item.incident for item in items])
        rows = [_message(item, self._now, extents) for item in items]
        Notification.objects.bulk_create(rows)
        NotifiedState.objects.bulk_create(
            [self._state_after(item) for item in items],
            update_conflicts=True,
            unique_fields=["incident", "channel"],
            update_fields=["state", "at", "acknowledged"],
        )
        Incident.objects.bulk_update(self._incidents, ["notify_at"])
        return len(rows)

    def _log(self) -> int:
        """Nobody hears of it but who reads the log."""
        news = [(incident, _facts(incident), _host(incident)) for incident in self._incidents]
        log_only.tell(news, self._context.blocked, self._timing, self._now)
        return 0

    def _items(self, incident: Incident, channels: Sequence[tuple[Channel, ChannelRules]]) -> Iterator[_Item]:
        """The incident's news; also sets when to look at it again."""
        looks = []
        for channel, rules in channels:
            decision = self._decide(incident, channel, rules)
            if decision.look_at is not None:
                looks.append(max(decision.look_at, self._now + timedelta(seconds=1)))
            if decision.notice is not None:
                if decision.notice.level is Severity.CRITICAL:
                    self._critical_since.setdefault(incident.pk, self._now)
                yield _Item(channel, incident, decision.notice)
        incident.notify_at = min(looks, default=None)

    def _last_told(self, incident: Incident, channel: Channel) -> LastTold:
        return self._context.known.get((incident.pk, channel.pk), LastTold())

    def _state_after(self, item: _Item) -> NotifiedState:
        knows = self._last_told(item.incident, item.channel).after(item.notice, self._now)
        return NotifiedState(
            incident=item.incident,
            channel=item.channel,
            state=knows.state,
            at=self._now,
            acknowledged=knows.acknowledged,
        )

    def _decide(self, incident: Incident, channel: Channel, rules: ChannelRules) -> Decision:
        last_told = self._last_told(incident, channel)
        goes_on = last_told.state in KNOWS_TROUBLE and not (last_told.state == AGAIN and incident.is_open)
        if not goes_on and not concerns(rules, _labels(incident)):
            return Decision()
        context = Context(
            self._now,
            self._timing,
            self._context.blocked.get(incident.pk),
            self._critical_since.get(incident.pk),
        )
        return decide(_facts(incident), rules, last_told, context)


def _labels(incident: Incident) -> Labels:
    plan = getattr(incident, "plan_name", None) or ""
    return Labels(incident.kind, _host(incident), plan, incident.customer_id)


def _host(incident: Incident) -> str:
    """Its host's name; a host that was deleted is still in the key."""
    name: str | None = getattr(incident, "host_name", None)
    return name or host_in(incident.key)


def _facts(incident: Incident) -> IncidentFacts:
    severity = Severity(incident.severity)
    return IncidentFacts(
        kind=incident.kind,
        severity=severity,
        confirmed_at=incident.confirmed_at,
        resolved_at=incident.resolved_at,
        acknowledged_at=incident.acknowledged_at,
        restarts=incident.restarts,
        flapping=incident.flapping,
        overdue=severity is Severity.CRITICAL
        and incident.down_since is not None
        and incident.critical_at is None,
        wait=first_told_after(incident.kind, incident.cause, incident.key),
    )


def _message(item: _Item, now: datetime, extents: Mapping[int, messages.Extent]) -> Notification:
    incident, host = item.incident, _host(item.incident)
    extent = extents.get(incident.pk)
    document = messages.of_incident(uuid.uuid4(), incident, item.notice, host, now, extent)
    return messages.row(item.channel, document, now, item.incident)
