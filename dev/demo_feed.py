"""The database's rows as a stream of events: sweeps, operations with their steps, and checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from instances.models import HealthCheck, Operation, Sweep

LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True)
class Event:
    """Something that a row says has happened. `who` is a customer id, or what else it is about."""

    moment: datetime
    who: str
    what: str
    detail: str


class Feed:
    """Hands out every event once."""

    def __init__(self) -> None:
        self._told: set[Event] = set()

    def news(self) -> list[Event]:
        """Events that have not been handed out, the oldest first."""
        new = [event for event in (*_sweeps(), *_operations(), *_checks()) if event not in self._told]
        self._told.update(new)
        return sorted(new, key=lambda event: event.moment)


def _sweeps() -> Iterator[Event]:
    for sweep in Sweep.objects.order_by("started_at"):
        yield Event(sweep.started_at, "sweep", "started", f"asked for by {sweep.requested_by}")
        if sweep.finished_at:
            checked = f"{sweep.done} of {sweep.total} instances checked"
            yield Event(sweep.finished_at, "sweep", sweep.state, checked)


def _operations() -> Iterator[Event]:
    for operation in Operation.objects.order_by("created_at"):
        yield Event(operation.created_at, operation.customer_id, operation.kind, _why(operation))
        for step in operation.steps:
            if step["finished_at"]:
                detail = step["detail"] if step["status"] == "done" else f"{step['status']}: {step['detail']}"
                ended = datetime.fromisoformat(step["finished_at"])
                yield Event(ended, operation.customer_id, f"  {step['name']}", LONG_ID.sub(r"\1", detail))
        if operation.finished_at:
            seconds = (operation.finished_at - operation.created_at).total_seconds()
            end = operation.error or f"{operation.kind} took {seconds:.1f} s"
            yield Event(operation.finished_at, operation.customer_id, operation.status, end)


def _why(operation: Operation) -> str:
    return operation.reason or f"asked for by {operation.requested_by}"


def _checks() -> Iterator[Event]:
    """Checks that found trouble, and good ones that changed the status."""
    last: dict[int, str] = {}
    for check in HealthCheck.objects.select_related("instance").order_by("pk"):
        if check.outcome != "ok" or check.status != last.get(check.instance_id):
            yield Event(check.checked_at, check.instance.customer_id, check.status, _seen(check))
        last[check.instance_id] = check.status


def _seen(check: HealthCheck) -> str:
    answer = f"HTTP {check.http_status} in {check.latency_ms} ms" if check.http_status else ""
    container = f"container {check.container_state}" if check.container_state else ""
    return ", ".join(filter(None, (check.error.rstrip(".") or answer, container)))
