"""Questions only a worker can answer: asked by a page, answered by a task, fetched when it is done.

A ticket names the task and is signed for one person and one permission, so nobody fetches what
somebody else asked for.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from celery import Task
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from instances.errors import DockmgrError, OutOfReachError
from tasks.broker.rpc import let_go, submit, task_result

SALT = "desk.ticket"
LASTS = 600  # seconds a ticket is good for


@dataclass(frozen=True)
class WorkerQuestion:
    """A task, what it is asked, and the permission without which its answer is not given out."""

    task: Task[..., Any]
    kwargs: dict[str, Any]
    permission: str


def ask(request: HttpRequest, question: WorkerQuestion) -> JsonResponse:
    """Enqueue the task and hand out the ticket for its answer: 202, or 503 without a broker."""
    if not request.user.has_perm(question.permission):
        raise PermissionDenied
    task_id = uuid.uuid4()
    try:
        submit(question.task, task_id, **question.kwargs)
    except OutOfReachError as error:
        return _failed(error, status=503)
    ticket = signing.dumps([str(task_id), request.user.pk, question.permission], salt=SALT)
    return JsonResponse({"ticket": ticket}, status=202)


def answer_view(request: HttpRequest, ticket: str) -> JsonResponse:
    """GET: `{"state": "waiting"}`, `{"state": "done", "answer": …}` or `{"state": "failed", "error": …}`."""
    try:
        return JsonResponse(fetch(request, ticket))
    except OutOfReachError as error:
        return _failed(error, status=503)


def download_view(request: HttpRequest, ticket: str) -> HttpResponse:
    """A fetched log as a file of plain text that no browser interprets."""
    found = fetch(request, ticket)
    if found["state"] != "done" or "lines" not in found["answer"]:
        raise Http404
    text = "".join(f"{line}\n" for line in found["answer"]["lines"])
    response = HttpResponse(text.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")
    name = f"{found['answer']['customer_id']}.log"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def fetch(request: HttpRequest, ticket: str) -> dict[str, Any]:
    """The answer a ticket stands for, as far as it is there. Raises Http404, OutOfReachError."""
    task_id = _task_of(request, ticket)
    ended = task_result(task_id)
    if ended is None:
        return {"state": "waiting"}
    let_go(task_id)
    if ended.error is not None:
        return _failure(ended.error)
    return {"state": "done", "answer": ended.value}


def _failed(error: DockmgrError, status: int) -> JsonResponse:
    return JsonResponse(_failure(error), status=status)


def _failure(error: DockmgrError) -> dict[str, Any]:
    return {"state": "failed", "error": str(error)}


def _task_of(request: HttpRequest, ticket: str) -> uuid.UUID:
    try:
        task_id, person, permission = signing.loads(ticket, salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        raise Http404 from None
    if person != request.user.pk or not request.user.has_perm(permission):
        raise PermissionDenied
    return uuid.UUID(task_id)
