"""Test deployments: a throwaway instance through everything a customer's goes through."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Status

from instances import documents, lookup
from instances.api import forms, idempotency, shapes
from instances.api.authentication import may
from instances.api.call import Call, call_of
from instances.api.changing import reachable
from instances.api.docs import responses
from instances.api.problems import unknown
from instances.api.routes.changes import known
from instances.api.routes.router import Routes
from instances.models import ApiRequest
from instances.operations import image_choice
from tasks.broker.rpc import submit, task_result
from tasks.operations import test_deploy
from tasks.policies import TRIAL
from tasks.slips import slip
from tasks.trials import on_record

route = Routes("test deployments")
ACTION = "test deployment"
NOT_KEPT = "There is no test deployment of that id, or its result is no longer kept."


@route.post(
    "/test-deployments",
    auth=may("operate", ACTION, limited=True),
    response=responses(shapes.Trial, 400, 404, 409, 411, 413, status=202),
    operation_id="startTestDeployment",
    summary="Try a plan",
)
def start(request: HttpRequest, wanted: forms.TrialOrder, key: forms.IdempotencyKey = None) -> Status[Any]:
    """Provisions a throwaway instance, validates, restarts and updates it, and removes every trace."""
    call = call_of(request)
    call.target, call.reason = wanted.plan, wanted.reason
    reachable(request, "", wanted.plan, wanted.host)
    known(wanted.plan, wanted.host)
    image_choice.checked(lookup.plan(wanted.plan), wanted.image, call.requester())
    row, first = idempotency.note(call, key, wanted.model_dump())
    call.outcome = f"test deployment {row.pk}"
    is_mine = first or (_ended(row) is None and idempotency.taken_over(row, call))
    if is_mine:
        with idempotency.forgotten_on_failure(row):
            _commission(row, wanted, call)
    return Status(202, _document(row) if is_mine else _standing(row, call.now))


@route.get(
    "/test-deployments/{trial_id}",
    auth=may("read", limited=True),
    response=responses(shapes.Trial, 404),
    operation_id="getTestDeployment",
    summary="Show a test deployment",
)
def get(request: HttpRequest, trial_id: uuid.UUID) -> dict[str, Any]:
    """Its result is kept for an hour."""
    row = ApiRequest.objects.select_related("token").filter(pk=trial_id, action=ACTION).first()
    call = call_of(request)
    if row is None or not (call.reach.is_whole or row.token_id == call.caller.pk):
        raise unknown(NOT_KEPT)
    return _standing(row, call.now)


def _commission(row: ApiRequest, wanted: forms.TrialOrder, call: Call) -> None:
    what = {"plan": wanted.plan, "image": wanted.image, "host": wanted.host}
    asked = call.requester()
    submit(test_deploy, row.pk, **what, requested_by=call.actor, reason=call.reason, slip=slip(row.pk, asked))


def _standing(row: ApiRequest, now: datetime) -> dict[str, Any]:
    """How it stands by now. Raises ProblemError 404 once that is not kept any more."""
    if row.created_at + timedelta(seconds=TRIAL.time_limit + settings.CELERY_RESULT_EXPIRES) < now:
        raise unknown(NOT_KEPT)
    return _ended(row) or _document(row)


def _ended(row: ApiRequest) -> dict[str, Any] | None:
    ended = task_result(row.pk)
    if ended is None:
        return _on_record(row)
    if ended.error is not None:
        return _document(row, "failed", error=str(ended.error))
    result = ended.value
    return _document(row, "succeeded" if result["success"] else "failed", result, result["error"])


def _on_record(row: ApiRequest) -> dict[str, Any] | None:
    """What the workers wrote down of its end, for a broker that lost the result."""
    made = on_record(row.pk, row.target)
    return made and _document(row, "succeeded" if made["success"] else "failed", made, made["error"])


def _document(
    row: ApiRequest, status: str = "running", result: Any = None, error: str | None = None
) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "plan": row.target,
        "status": status,
        "result": result,
        "error": error,
        "requested_by": row.token.actor,
        "created_at": documents.time(row.created_at),
    }
