"""Turns of hosts at what each engine is asked for now and then, shared by any number of processes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from instances.db.locks import locked
from instances.db.moments import ahead
from instances.incidents.hosts import unsettled_hosts, watch_all
from instances.models import Host, HostWatch


def take_turns(column: str, now: datetime, every: timedelta, most: int, among: Q | None = None) -> list[Host]:
    """Take hosts that are in order and whose turn it is, by when the last one was, which is in `column`.

    Those that wait for longest are first, so that each gets its turn where there are more than can be taken.
    Nobody else gets them for an interval.
    """
    watch_all()
    due = Q(**{column: None}) | Q(**{f"{column}__lte": now - every}) | ahead(column, now)
    with transaction.atomic():
        rows = locked(HostWatch.objects.filter(among or Q(), due, failures=0), skip_locked=True)
        well = rows.exclude(host__incidents__in=unsettled_hosts())
        longest = well.order_by(F(column).asc(nulls_first=True), "pk")
        taken = [row.pk for row in longest[:most]]
        HostWatch.objects.filter(pk__in=taken).update(**{column: now})
    return list(Host.objects.filter(pk__in=taken).order_by("pk"))
