"""Container lists where events fail: which hosts are listed, and what in a list calls for a check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from instances.checks.check_requests import CheckRequest, listed_in_turn
from instances.checks.observe import RUNNING
from instances.checks.roster import Roster
from instances.db.locks import locked
from instances.db.moments import ahead
from instances.engine.pool import Engines
from instances.health.state import Status
from instances.incidents.hosts import watch_all
from instances.models import Health, HostWatch

DEAF_AFTER = timedelta(seconds=15)  # without a word of whoever follows the engine's events


@dataclass(frozen=True)
class LastCheck:
    """What the last check of an instance left: its status, the container's state, whether it is down."""

    status: str
    container_state: str
    is_down: bool


def take_hosts(now: datetime, every: timedelta) -> list[int]:
    """The hosts to list now, for this process alone: their events are not heard, and no list is new."""
    watch_all()
    heard = Q(events_heard_at__gt=now - DEAF_AFTER) & ~ahead("events_heard_at", now)
    fresh = Q(listed_at__gt=now - every) & ~ahead("listed_at", now)
    with transaction.atomic():
        due = locked(HostWatch.objects.exclude(heard).exclude(fresh), skip_locked=True).order_by("pk")
        ids = [watch.pk for watch in due]
        HostWatch.objects.filter(pk__in=ids).update(listed_at=now)
    return ids


def odd_ones(roster: Roster, engines: Engines) -> Iterator[list[CheckRequest]]:
    """Requests for those of the instances whose container lists show what is not known yet."""
    rows = Health.objects.filter(instance__host__in=roster.of_host).values_list(
        "pk", "status", "container_state", "down_since"
    )
    known = {pk: LastCheck(status, state, since is not None) for pk, status, state, since in rows}
    for found in listed_in_turn(roster, engines):
        yield [
            request
            for request, image_health in found
            if request.instance_id in known
            and calls_for_check(request, image_health, known[request.instance_id])
        ]


def calls_for_check(request: CheckRequest, image_health: str, known: LastCheck) -> bool:
    """Whether a list shows something odd that the last check has not told. Pure.

    `image_health` is what the image's own health check says, empty where it has none.
    """
    if request.finding is not None:
        return True
    if request.listed != RUNNING:
        return not known.is_down or request.listed != known.container_state
    return image_health == "unhealthy" and known.status == Status.HEALTHY
