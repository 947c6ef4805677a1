"""Checks that are due outside the sweep, each given to one who asks."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, When

from instances.checks.policy import policy
from instances.checks.roster import PAGE, Roster
from instances.checks.stalled import patience
from instances.db.locks import locked
from instances.db.moments import ahead, reached
from instances.models import Health, Instance

CLAIM_SECONDS = 60.0  # at least


def is_any_due(now: datetime) -> bool:
    """Whether there is a check for `claim_due` to take, unless somebody else takes it first."""
    return _due(now, Instance.objects.active()).exists()


def claim_due(now: datetime, among: QuerySet[Instance] | None = None) -> Roster:
    """Take checks that are due outside the sweep, those due first, and at most a thousand at a time.

    Nobody gets them again for a minute, or while a look may last, whatever a clock that ran fast has written.
    """
    due = _due(now, Instance.objects.active() if among is None else among).order_by("next_check_at", "pk")
    with transaction.atomic():
        ids = [row.pk for row in locked(due, skip_locked=True).only("pk")[:PAGE]]
        again = now + max(timedelta(seconds=CLAIM_SECONDS), patience())
        Health.objects.filter(pk__in=ids).update(next_check_at=again, checked_at=_unless_ahead(now))
    return Roster.of(Instance.objects.filter(pk__in=ids).values_list("host_id", "pk"))


def _unless_ahead(now: datetime) -> Case:
    return Case(When(ahead("checked_at", now), then=None), default=F("checked_at"))


def _due(now: datetime, among: QuerySet[Instance]) -> QuerySet[Health]:
    reached_or_unknown = reached("next_check_at", now, policy().longest_wait) | (
        Q(next_check_at__isnull=False) & ahead("checked_at", now)
    )
    return Health.objects.filter(reached_or_unknown, instance__in=among)
