"""Incidents whose end nobody would find out: of parts that are switched off, of what nobody looks after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from instances.containers.consumption import DISK
from instances.db.locks import lock_in_order
from instances.health.state import Status
from instances.incidents.rules import (
    CERTIFICATE,
    CONTAINER,
    LOG,
    ORPHANS,
    OUTSIDE,
    RESOURCES,
    certificate_key,
)
from instances.models import Health, Incident, Instance
from instances.monitoring.alarms import end_alarm
from instances.monitoring.hosts import in_use
from instances.monitoring.log_watch import UNWANTED
from instances.monitoring.outside_judge import FROM_OUTSIDE, UNASKED
from instances.monitoring.resources import forget
from instances.monitoring.unwatched import let_go
from instances.monitoring.usage import OWN

UNREAD = "it is not read any more"
UNSOUGHT = "it is not looked for any more"
OF_PAUSED = (CONTAINER, RESOURCES, OUTSIDE, LOG)
_CERTIFICATES_OUTSIDE = Q(key__startswith=certificate_key(FROM_OUTSIDE))


def end_leftovers(now: datetime) -> None:
    """End what is told by parts that are switched off, and of hosts and instances nobody looks after.

    Whatever is still so is found and told anew when somebody looks again.
    """
    for what, why in (*_of_parts_switched_off(), *_of_hosts()):
        _end(what, why, now)
    _of_paused(now)


def _of_parts_switched_off() -> Iterator[tuple[Q, str]]:
    if not settings.EVENTS:
        yield Q(kind=LOG), UNWANTED
    if not settings.OUTSIDE_INTERVAL:
        yield Q(kind=OUTSIDE) | _CERTIFICATES_OUTSIDE, UNASKED
    if not settings.USAGE_INTERVAL:
        yield Q(kind=RESOURCES, cause__in=OWN), UNREAD
    if not settings.DISK_INTERVAL:
        yield Q(kind=RESOURCES, cause=DISK), UNREAD
    if not settings.ORPHANS_INTERVAL:
        yield Q(kind=ORPHANS), UNSOUGHT


def _of_hosts() -> Iterator[tuple[Q, str]]:
    """Of hosts that were deleted, or that nobody asks because nobody is there."""
    yield Q(kind__in=("host", CERTIFICATE)) & ~_CERTIFICATES_OUTSIDE & ~Q(host__in=in_use()), UNASKED
    yield Q(kind=ORPHANS, host=None), UNSOUGHT


def _end(what: Q, why: str, now: datetime) -> None:
    found = list(Incident.objects.open().filter(what))
    for incident in found:
        end_alarm(incident.key, why, now)
    of_readings = [incident for incident in found if incident.kind == RESOURCES]
    instances = [incident.instance_id for incident in of_readings if incident.instance_id]
    forget(instances, {incident.cause for incident in of_readings})


def _of_paused(now: datetime) -> None:
    paused = Instance.objects.present().filter(health__status=Status.PAUSED.value)
    told = paused.filter(incidents__kind__in=OF_PAUSED, incidents__resolved_at=None)
    for instance in told.without_secrets().distinct():
        with transaction.atomic():
            if lock_in_order(Health.objects.filter(pk=instance.pk, status=Status.PAUSED.value)):
                let_go(instance, now)
