"""Sweeps: the last one, and asking for one now."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Status

from instances import documents
from instances.api import forms, idempotency, shapes
from instances.api.authentication import may
from instances.api.call import call_of
from instances.api.docs import responses
from instances.api.problems import ProblemError, unknown
from instances.api.routes.router import Routes
from instances.models import ApiRequest, Sweep
from tasks.checks import enqueue_sweep

route = Routes("sweeps")


@route.get(
    "/sweeps/latest",
    auth=may("read"),
    response=responses(documents.shapes.Sweep, 404),
    operation_id="getLatestSweep",
    summary="Show the last sweep",
)
def latest(request: HttpRequest) -> documents.shapes.Sweep:
    """The one that runs, else the last that ran."""
    row = Sweep.objects.order_by("-started_at").first()
    if row is None:
        raise unknown("There was no sweep yet.")
    return documents.sweep(row)


@route.post(
    "/sweeps",
    auth=may("operate", "sweep"),
    response=responses(shapes.SweepAsked, 409, status=202),
    operation_id="startSweep",
    summary="Sweep now",
)
def start(request: HttpRequest, key: forms.IdempotencyKey = None) -> Status[Any]:
    """Checks every active instance; refused while a sweep is running."""
    call = call_of(request)
    row, first = idempotency.note(call, key, {})
    if first or (not _is_made(row) and idempotency.taken_over(row, call)):
        with idempotency.forgotten_on_failure(row):
            _enqueue(call.actor, row)
    return Status(
        202,
        {
            "status": "queued",
            "requested_by": call.actor,
            "requested_at": documents.time(row.created_at),
        },
    )


def _is_made(row: ApiRequest) -> bool:
    """Whether the fleet was swept since that was asked for."""
    return Sweep.objects.filter(started_at__gte=row.created_at).exists()


def _enqueue(actor: str, row: ApiRequest) -> None:
    running = Sweep.objects.filter(state="running", expires_at__gt=row.created_at).first()
    if running is not None:
        done = f"{running.done} of {running.total} instances are checked"
        raise ProblemError(409, f"A sweep is already running: {done}.", kind="busy")
    enqueue_sweep(by=actor)
