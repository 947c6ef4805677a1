"""Looks between sweeps: when a round of them is due and who makes it, whom it looks at, and how fast."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import F, Q

from instances.checks.roster import Roster
from instances.lib.clock import known
from instances.models import Instance, Pulse, Sweep

ROUND = "looks"  # the sign of life that says when the last round began
LEAST_AT_ONCE = 50
TURNS = 2.0  # seconds until a round that is due begins, and its look is taken


def begin_round(now: datetime, every: timedelta) -> bool:
    """Take the round that is due, if one is, for this process alone. A sweep that began counts as one."""
    last = Pulse.objects.filter(pk=ROUND).values_list("at", flat=True).first()
    swept = Sweep.objects.order_by("-started_at").values_list("started_at", flat=True).first()
    slot = next_round(known(last, now), known(swept, now), now, every)
    if slot is None:
        return False
    if last is None:
        return Pulse.objects.get_or_create(name=ROUND, defaults={"at": slot})[1]
    return bool(Pulse.objects.filter(pk=ROUND, at=last).update(at=slot))


def next_round(
    last: datetime | None, swept: datetime | None, now: datetime, every: timedelta
) -> datetime | None:
    """The time slot of the round that is due, or None while none is. Pure.

    It is the moment at which the round became due, so that rounds keep their rhythm. Where that is more than
    half a round ago, nobody was there to make it, and the rhythm begins anew.
    """
    begun = max(filter(None, (last, swept)), default=None)
    if begun is None:
        return now
    due = begun + every
    if now < due:
        return None
    return due if now < due + every / 2 else now


def rhythm(within: timedelta, timeout: float) -> timedelta:
    """How often rounds begin, so that who hangs is found `within` that time. Pure.

    An answer has `timeout` seconds to come, and a round may begin a little late. Rounds begin earlier by
    both, but by a fifth at most.
    """
    return within - min(timedelta(seconds=timeout + TURNS), within / 5)


def between_sweeps(now: datetime, soon: timedelta, hosts: Collection[int] | None = None) -> Roster:
    """Whom a round looks at, those first that were not looked at for longest; of these `hosts`, or of all.

    Who is to be looked at `soon` anyway is left out: a look more would count one failure twice as fast.
    """
    later = Q(health__next_check_at=None) | Q(health__next_check_at__gt=now + soon)
    rows = Instance.objects.active().filter(later)
    if hosts is not None:
        rows = rows.filter(host__in=hosts)
    in_order = rows.order_by(F("health__checked_at").asc(nulls_first=True), "pk")
    return Roster.of(in_order.values_list("host_id", "pk"))


def at_once(number: int, every: timedelta) -> int:
    """How many looks are published in a second, so that a round takes half of its time. Pure.

    Whoever asks for a check meanwhile waits behind these alone, and not behind the whole fleet.
    """
    return max(LEAST_AT_ONCE, math.ceil(2 * number / max(1.0, every.total_seconds())))
