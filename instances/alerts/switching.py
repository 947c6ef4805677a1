"""Channels that are added, changed, switched off or on: what they are taken to know, and are told then."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from instances.alerts.giving_up import give_up
from instances.alerts.notify import to_compare
from instances.alerts.unsent import UNSENT, unsent
from instances.counters import count_deliveries
from instances.db.locks import lock_in_order, locked
from instances.incidents.rules import AGAIN, KNOWS_TROUBLE, NOTHING, TROUBLE
from instances.models import Channel, Incident, Notification, NotifiedState, Pulse

SWITCHED_OFF = "The channel was switched off."
SWITCHES = ("enabled", "incidents")  # who has both on is told of incidents
BY_HAND = "channel switched off"  # what the moment of the last time is known by among the signs of life


@transaction.atomic
def channels_changed(columns: Mapping[str, Collection[str]], now: datetime) -> None:
    """Tell channels that were just saved what is wrong now, and the end of what they were told.

    `columns` has, by the channel's name, which of its columns have another value; none of a new one.
    """
    given_up: list[str] = []
    _take_incidents(columns, now)
    for channel in Channel.objects.filter(name__in=columns).defer("url").order_by("pk"):
        given_up += _switched(channel, set(columns[channel.name]), now)
    _compare_all(now)
    count_deliveries("given_up", given_up)


def _take_incidents(channels: Collection[str], now: datetime) -> None:
    """Lock all that is written below, in one order: in several goes two would wait in a circle."""
    told = NotifiedState.objects.filter(channel__name__in=channels, state__in=(NOTHING, *KNOWS_TROUBLE))
    waiting = Notification.objects.filter(UNSENT, channel__name__in=channels).exclude(incident=None)
    known = Q(pk__in=told.values("incident")) | Q(pk__in=waiting.values("incident"))
    lock_in_order(Incident.objects.filter(known | to_compare(now)))


def _compare_all(now: datetime) -> None:
    """What others are just writing is not waited for: it is told after that, by the rules of now."""
    rows = locked(Incident.objects.filter(to_compare(now)), skip_locked=True)
    Incident.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(notify_at=now)


def gone_by_hand(now: datetime) -> None:
    """Note that somebody switched off or removed a channel that was told of incidents."""
    Pulse.objects.update_or_create(name=BY_HAND, defaults={"at": now})


def _switched(channel: Channel, columns: set[str], now: datetime) -> list[str]:
    given_up: list[str] = []
    if "enabled" in columns:
        given_up = give_up(channel, unsent(channel), now, SWITCHED_OFF)
    if columns & {"enabled", "url"}:
        _begin_afresh(channel)
    hears = all(getattr(channel, name) for name in SWITCHES)
    heard = all(getattr(channel, name) != (name in columns) for name in SWITCHES)
    if hears and (not heard or "url" in columns):
        _tell_anew(channel, now)
    elif heard and not hears:
        gone_by_hand(now)
    return given_up


def _begin_afresh(channel: Channel) -> None:
    """What the former receiver said counts no more, nor does what a round that is under way hears from it."""
    Channel.objects.filter(pk=channel.pk).update(
        failures=0, refusals=0, retry_at=None, lease_expires_at=None, token=F("token") + 1
    )


def _tell_anew(channel: Channel, now: datetime) -> None:
    """It may be another place now: it knows of nothing that is wrong, but hears ends.

    What still waits goes there, and says by itself what is wrong.
    """
    waiting = unsent(channel).exclude(incident=None).values("incident")
    told = NotifiedState.objects.filter(channel=channel, state__in=(NOTHING, *KNOWS_TROUBLE))
    told = told.exclude(incident__in=waiting)
    lock_in_order(Incident.objects.filter(pk__in=told.values("incident")))
    told.filter(state__in=(NOTHING, AGAIN)).update(at=now)
    told.filter(state__in=TROUBLE).update(state=AGAIN)
