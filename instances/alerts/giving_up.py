"""Messages that never arrive: what their channel is taken to know is what did, and the rest is told anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from instances.alerts.notify import requeue
from instances.alerts.rules import Told, knowledge
from instances.alerts.unsent import LOST, levels
from instances.db.among import among
from instances.db.locks import lock_in_order, locked
from instances.incidents.rules import AGAIN, CERTIFICATE, NOTHING, TROUBLE
from instances.models import Channel, Incident, Notification, NotifiedState


def give_up(channel: Channel, rows: QuerySet[Notification], now: datetime, error: str = "") -> list[str]:
    """Give up these messages to the channel, with `error` in place of that of the last attempt.

    What it does not know by then is told anew, if it hears of incidents. Returns the levels of the messages,
    which are to be counted last in the transaction.
    """
    found, keys = levels(rows), _concerned(rows)
    rows.update(given_up_at=now, **({"error": error} if error else {}))
    if keys:
        concerned = lock_in_order(Incident.objects.filter(among("pk", keys)))
        NotifiedState.objects.filter(among("incident_id", concerned), channel=channel).delete()
        NotifiedState.objects.bulk_create(
            _known(channel, key, told) for key, told in _arrived(channel, concerned)
        )
        requeue(Incident.objects.filter(among("pk", concerned)), now)
    return found


def give_up_refused(channel: Channel, rows: QuerySet[Notification], now: datetime, error: str) -> None:
    """Give up messages whose content the receiver refuses.

    What goes on is reminded of as ever. The end, and what nobody is reminded of, is told again after
    DELIVERY_GIVE_UP, and not at once: it would be refused again.
    """
    keys = _concerned(rows)
    rows.update(given_up_at=now, error=error)
    if keys:
        concerned = list(locked(Incident.objects.filter(among("pk", keys)).order_by("pk")))
        _tell_again_at(now + timedelta(seconds=settings.DELIVERY_GIVE_UP), channel, concerned)
        requeue(Incident.objects.filter(among("pk", keys)), now)


def _tell_again_at(moment: datetime, channel: Channel, incidents: Sequence[Incident]) -> None:
    arrived = dict(_arrived(channel, [incident.pk for incident in incidents]))
    for incident in incidents:
        known = knowledge(arrived.get(incident.pk, ())).state
        is_lost = incident.kind == CERTIFICATE if incident.is_open else known in TROUBLE
        if is_lost:
            told = NotifiedState.objects.filter(incident=incident, channel=channel).exclude(state=known)
            told.update(state=AGAIN if known in TROUBLE else NOTHING, at=moment)


def _concerned(rows: QuerySet[Notification]) -> set[int]:
    return set(rows.exclude(incident=None).order_by().values_list("incident", flat=True))


def _arrived(channel: Channel, keys: Collection[int]) -> Iterable[tuple[int, list[Told]]]:
    """By incident, the messages that are not lost, oldest first; what none is about is left out."""
    rows = Notification.objects.filter(among("incident_id", keys), channel=channel).exclude(LOST)
    found: dict[int, list[Told]] = defaultdict(list)
    for row in rows.order_by("created_at").only("incident", "kind", "level", "created_at"):
        found[row.incident_id or 0].append(Told(row.kind, row.level, row.created_at))
    return found.items()


def _known(channel: Channel, incident_id: int, told: Sequence[Told]) -> NotifiedState:
    known = knowledge(told)
    return NotifiedState(
        incident_id=incident_id,
        channel=channel,
        state=known.state,
        at=told[-1].at,
        acknowledged=known.acknowledged,
    )
