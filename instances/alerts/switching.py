"""Channels that are added, changed, switched off or on: what they are taken to know, and are told then."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction

from instances.alerts.giving_up import give_up
from instances.alerts.notify import requeue
from instances.alerts.unsent import unsent
from instances.counters import count_deliveries
from instances.db.locks import lock_in_order
from instances.incidents.rules import AGAIN, TROUBLE
from instances.models import Channel, Incident, NotifiedState, Pulse

SWITCHED_OFF = "The channel was switched off."
SWITCHES = ("enabled", "incidents")  # who has both on is told of incidents
BY_HAND = "channel switched off"  # what the moment of the last time is known by among the signs of life


@transaction.atomic
def channels_changed(columns: Mapping[str, Collection[str]], now: datetime) -> None:
    """Tell channels that were just saved what is wrong now, and the end of what they were told.

    `columns` has, by the channel's name, which of its columns have another value; none of a new one.
    """
    given_up: list[str] = []
    for channel in Channel.objects.filter(name__in=columns).defer("url").order_by("pk"):
        given_up += _switched(channel, set(columns[channel.name]), now)
    requeue(Incident.objects.all(), now)
    count_deliveries("given_up", given_up)


def gone_by_hand(now: datetime) -> None:
    """Note that somebody switched off or removed a channel that was told of incidents."""
    Pulse.objects.update_or_create(name=BY_HAND, defaults={"at": now})


def _switched(channel: Channel, columns: set[str], now: datetime) -> list[str]:
    given_up: list[str] = []
    if "enabled" in columns:
        given_up = give_up(channel, unsent(channel), now, SWITCHED_OFF)
        Channel.objects.filter(pk=channel.pk).update(failures=0, refusals=0, retry_at=None)
    hears = all(getattr(channel, name) for name in SWITCHES)
    heard = all(getattr(channel, name) != (name in columns) for name in SWITCHES)
    if hears and not heard:
        _tell_anew(channel)
    elif heard and not hears:
        gone_by_hand(now)
    return given_up


def _tell_anew(channel: Channel) -> None:
    """A channel that was off may be another place now: it knows of nothing that is wrong, but hears ends."""
    told = NotifiedState.objects.filter(channel=channel, state__in=TROUBLE)
    lock_in_order(Incident.objects.filter(pk__in=told.values("incident")))
    told.update(state=AGAIN)
