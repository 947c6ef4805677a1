"""Checks that are due outside the sweep, each given to one who asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from instances.db.locks import locked
from instances.db.moments import ahead, reached
from instances.health.trusted import LONGEST_WAIT
from instances.models import Health, Instance

CLAIM_SECONDS = 60.0


def claim_due(now: datetime, among: Iterable[int] | None = None) -> list[Instance]:
    """Take the checks that are due outside the sweep; nobody else gets them for a minute."""
    reached_or_unknown = reached("next_check_at", now, LONGEST_WAIT) | (
        Q(next_check_at__isnull=False) & ahead("checked_at", now)
    )
    due = Health.objects.filter(reached_or_unknown, instance__in=Instance.objects.active())
    if among is not None:
        due = due.filter(pk__in=list(among))
    with transaction.atomic():
        ids = [row.pk for row in locked(due, skip_locked=True).only("pk")]
        Health.objects.filter(pk__in=ids).update(next_check_at=now + timedelta(seconds=CLAIM_SECONDS))
    return list(Instance.objects.filter(pk__in=ids).without_secrets())
