"""Whose turn it is to be restarted automatically: not where healing is held, and only so many at once."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from instances.health.state import HARD_REASONS, Status
from instances.incidents.hosts import healing_held, in_wave, left_alone
from instances.models import Health, Instance, Operation

HELD_FOR = 30.0  # seconds until an instance is looked at again where nothing may be restarted
DENIED_FOR = 5.0  # seconds until an instance is looked at again whose host had no restart to spare
SEEN_LATELY = timedelta(minutes=1)  # what nobody looks at any more keeps no other one waiting


def wait_for_turn(instance: Instance, now: datetime) -> float | None:
    """Seconds until an instance is looked at again that may not be restarted now; None where it may."""
    if healing_held(instance, now):
        return HELD_FOR
    wave = in_wave(instance.host_id)
    # If restarting does not help, not all of them go through it together.
    at_once = 1 if wave else int(settings.RESTARTS_PER_HOST)
    has_to_wait = _under_way(instance.host_id) >= at_once or (wave and _others_first(instance, now))
    return DENIED_FOR if has_to_wait else None


def _others_first(instance: Instance, now: datetime) -> bool:
    """In a wave, containers that ended come first: for these a restart helps, whatever made others fail."""
    if instance.health.reason in HARD_REASONS:
        return False
    ended = Health.objects.filter(
        Q(restart_not_before=None) | Q(restart_not_before__lte=now),
        instance__in=Instance.objects.active().filter(host=instance.host_id, leaving_at=None),
        status=Status.UNHEALTHY,
        reason__in=HARD_REASONS,
        last_healthy_at__isnull=False,
        checked_at__gte=now - SEEN_LATELY,
    )
    due = list(ended.values_list("pk", flat=True))
    return bool(set(due) - left_alone(due, now))


def _under_way(host_id: int) -> int:
    return Operation.objects.filter(host_id=host_id, kind="restart", automatic=True, finished_at=None).count()
