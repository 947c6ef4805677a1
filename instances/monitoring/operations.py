"""Operations that do not come to their end: told once each, and over when they are."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import OPERATION, operation_key
from instances.models import Incident, Operation
from instances.monitoring.alarms import end_alarm, raise_alarm

OPEN_TOO_LONG = timedelta(minutes=30)
FAILURES = 5  # in a row, of the step under way
CAUSE = "stuck"


def judge_operations(now: datetime) -> None:
    """Raise the alarm about every operation that is open for too long or fails again and again.

    Two queries while there is none.
    """
    stuck = {operation_key(operation.pk): operation for operation in _stuck(now)}
    known = set(Incident.objects.open().filter(kind=OPERATION).values_list("key", flat=True))
    for key in known - stuck.keys():
        end_alarm(key, "the operation is over or goes on", now)
    for key in stuck.keys() - known:
        operation = stuck[key]
        alarm = Alarm(key, OPERATION, CAUSE, _message(operation), instance=operation.instance)
        raise_alarm(alarm, now)


def _stuck(now: datetime) -> list[Operation]:
    rows = Operation.objects.filter(Q(created_at__lt=now - OPEN_TOO_LONG) | Q(tries__gte=FAILURES))
    secrets = ("instance__env", "instance__adopted")
    return list(rows.filter(finished_at=None).select_related("instance").defer(*secrets))


def _message(operation: Operation) -> str:
    """Which operation it is, since when, and where it is stuck."""
    last = operation.steps[-1] if operation.steps else None
    where = f"at the step {last['name']}" if last else "nobody has begun it"
    why = f": {last['detail']}" if last and last["detail"] else ""
    since = f"{operation.created_at:%d %b %H:%M:%S} UTC"
    return f"The {operation.kind} of {operation.customer_id} is open since {since}, {where}{why}"
