"""Sweeps that go no further: who published them died, or the broker lost what waited in it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from instances.checks.roster import Roster
from instances.db.locks import locked
from instances.db.moments import ahead
from instances.models import Instance, Sweep


def patience() -> timedelta:
    """How long a sweep may record nothing: two looks that hang, and an engine that is silent."""
    return timedelta(seconds=2 * settings.PROBE_TIMEOUT + settings.ENGINE_TIMEOUT)


def is_any_stalled(now: datetime) -> bool:
    """Whether there is a sweep for `take_stalled`, unless somebody else takes it first."""
    return _stalled(now).exists()


def take_stalled(now: datetime) -> tuple[Sweep, Roster] | None:
    """A sweep that goes no further, and all it has recorded no check of; None if there is no such sweep.

    Nobody else gets it until it has stalled again. Its count is put right: what is left is outstanding, and
    nothing else. A check of it that is under way still is recorded once, as any check of a sweep.
    """
    with transaction.atomic():
        sweep = locked(_stalled(now), skip_locked=True).first()
        if sweep is None:
            return None
        # Read under the lock: a batch that is being committed counts its checks after this, so they
        # are among those outstanding here.
        left = Roster.of_active(Instance.objects.exclude(health__last_sweep=sweep.pk))
        sweep.total = max(sweep.total, len(left))
        sweep.done = sweep.total - len(left)
        sweep.progress_at = now
        sweep.save(update_fields=["total", "done", "progress_at"])
    return sweep, left


def _stalled(now: datetime) -> QuerySet[Sweep]:
    """A sweep somebody attends is for that process to end."""
    running = Sweep.objects.filter(state="running", attended=False, expires_at__gt=now)
    since = running.annotate(last_at=Coalesce(F("progress_at"), F("started_at")))
    return since.filter(Q(last_at__lt=now - patience()) | ahead("last_at", now))
