"""What time alone does to incidents; found by a poll of columns, so that nothing lives in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery

from instances.db.locks import locked
from instances.db.moments import ahead, reached
from instances.health.state import Status
from instances.incidents.from_health import how_it_ended
from instances.incidents.lifecycle import wake
from instances.incidents.rules import Severity
from instances.incidents.writer import IncidentWriter
from instances.models import Health, Incident, Operation

BATCH = 200
LONGEST_CLEAN = 1000.0  # seconds an alarm that nobody raises again stays open
Resolution = Callable[[Incident], str]


def being_changed(now: datetime) -> Exists:
    """Whether somebody is just now changing the instance in a way that interrupts it on purpose."""
    changing = Operation.objects.filter(_interrupting(now), customer_id=OuterRef("customer_id"))
    return Exists(changing.filter(finished_at=None).exclude(kind="restart"))


def interruption(customer_id: str, now: datetime) -> Subquery:
    """Whether the open operation on the customer in column `customer_id` cuts him off; None without one."""
    unfinished = Operation.objects.filter(customer_id=OuterRef(customer_id), finished_at=None)
    cut_off = ExpressionWrapper(_interrupting(now), output_field=BooleanField())
    return Subquery(unfinished.values_list(cut_off)[:1])


def _has_not_failed() -> Exists:
    """Whether the last check passed, or could not tell: the next one that fails makes the deadline count."""
    passed, could_not_tell = Q(failures=0, successes__gt=0), Q(status=Status.UNKNOWN.value)
    return Exists(Health.objects.filter(passed | could_not_tell, instance=OuterRef("instance")))


def _interrupting(now: datetime) -> Q:
    """A holder that died interrupts nothing on purpose. What is being provisioned never served anybody."""
    return Q(interrupts=True, lease_expires_at__gte=now) | Q(kind="provision")


def apply_due(now: datetime, describe: Resolution = how_it_ended) -> None:
    """Make critical what is down for too long, and resolve what has stayed clean.

    `describe` says how a resolved incident ended.
    """
    if not Incident.objects.open().filter(_critical_due(now) | _resolve_due(now)).exists():
        return  # as it is nearly always
    while escalate_due(now) == BATCH:
        pass
    while resolve_due(now, describe) == BATCH:
        pass


@transaction.atomic
def escalate_due(now: datetime) -> int:
    """Raise a batch of incidents whose deadline has passed and whose last check failed; returns how many."""
    due = (
        Incident.objects.open()
        .filter(_critical_due(now))
        .exclude(being_changed(now))
        .exclude(_has_not_failed())
    )
    writer, rows = IncidentWriter(now), _locked(due, "critical_at")
    for incident in rows:
        incident.critical_at = None
        known = incident.severity == Severity.CRITICAL and incident.confirmed_at
        writer.note(incident, "deadline", f"down for more than {settings.CRITICAL_AFTER:g} s")
        if not known:
            writer.raised(incident, Severity.CRITICAL, "down for too long")
            incident.notify_at = now
    writer.save()
    return len(rows)


def resolve_due(now: datetime, describe: Resolution) -> int:
    """End a batch of incidents that have stayed clean for long enough; returns how many.

    What waited for them is woken when they are let go: it is locked by key, and the batch was not.
    """
    ended = _end_clean(now, describe)
    for incident in ended:
        wake(incident, now)
    return len(ended)


@transaction.atomic
def _end_clean(now: datetime, describe: Resolution) -> list[Incident]:
    writer = IncidentWriter(now)
    rows = _locked(Incident.objects.open().filter(_resolve_due(now)), "resolve_at")
    for incident in rows:
        writer.resolved(incident, describe(incident))
    writer.save()
    return rows


def _critical_due(now: datetime) -> Q:
    """By the number of now, which is told: it may have been another when the outage began.

    One that begins in the future began at a time that nobody knows.
    """
    begun = Q(down_since__lte=now - timedelta(seconds=settings.CRITICAL_AFTER))
    return Q(critical_at__isnull=False) & (begun | ahead("down_since", now))


def _resolve_due(now: datetime) -> Q:
    clean = (settings.FLAPPING_CLEAN, settings.FLAP_WINDOW, settings.HOST_GRACE, LONGEST_CLEAN)
    return reached("resolve_at", now, timedelta(seconds=max(clean)))


def _locked(due: QuerySet[Incident], column: str) -> list[Incident]:
    return list(locked(due, skip_locked=True).order_by(column)[:BATCH])
