"""Looking at instances: workers look, and the answer is waited for."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from celery import Task
from django.http import HttpRequest, StreamingHttpResponse
from pydantic import Field

from instances import documents, lookup
from instances.api import forms, log_stream
from instances.api.authentication import may
from instances.api.call import call_of
from instances.api.changing import present, within_subdomain
from instances.api.docs import responses
from instances.api.problems import existing
from instances.api.reader import has_gone
from instances.api.routes.router import Routes
from instances.api.threads import held
from instances.operations.read_logs import MOST_LINES
from tasks import checks, inspection, operations
from tasks.broker.rpc import call

route = Routes("looking")
EVENT = {
    "description": "one event",
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "the line's time"},
        "event": {"enum": ["missed", "end", "error"], "description": "lines have none"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["data"],
}
WAIT = 30.0  # seconds a caller waits for a worker
Lines = Annotated[int, Field(ge=1, le=MOST_LINES)]


@route.post(
    "/instances/{customer_id}/check",
    auth=may("operate", "check", limited=True),
    response=responses(documents.shapes.Check, 404, 409, 504),
    operation_id="checkInstance",
    summary="Check an instance's health now",
)
def check(request: HttpRequest, customer_id: forms.CustomerId) -> Any:
    """Probes, judges and records it, as the sweep does."""
    _existing(request, customer_id)
    return _asked(request, checks.check_health, customer_id=customer_id)


@route.post(
    "/instances/{customer_id}/validate",
    auth=may("operate", "validate", limited=True),
    response=responses(documents.shapes.Validation, 404, 409, 504),
    operation_id="validateInstance",
    summary="Validate an instance",
)
def validate(request: HttpRequest, customer_id: forms.CustomerId) -> Any:
    """Configuration, container against its spec, health, public URL; changes nothing."""
    _existing(request, customer_id)
    return _asked(request, operations.validate, customer_id=customer_id)


@route.get(
    "/deployments/{subdomain}/validation",
    auth=may("read", limited=True),
    response=responses(documents.shapes.Validation, 404, 409, 504),
    operation_id="validateDeployment",
    summary="Validate the instance behind a subdomain",
)
def validate_deployment(request: HttpRequest, subdomain: forms.Subdomain) -> Any:
    within_subdomain(request, subdomain)
    return _asked(request, operations.validate_deployment, subdomain=subdomain)


@route.get(
    "/orphans",
    auth=may("read"),
    response=responses(documents.shapes.Orphans, 404, 504),
    operation_id="listOrphans",
    summary="List containers and volumes that no instance has",
)
def orphans(request: HttpRequest, host: forms.Name | None = None) -> Any:
    """What a restored backup or a crash left unknown, on one host or on all."""
    if host is not None:
        existing(lookup.host, host)
    return _asked(request, inspection.orphans, host=host)


@route.get(
    "/instances/{customer_id}/logs",
    auth=may("operate", "logs", limited=True),
    response=responses(documents.shapes.Log, 404, 409, 504),
    operation_id="readLogs",
    summary="Read an instance's log",
)
def logs(
    request: HttpRequest,
    customer_id: forms.CustomerId,
    lines: Lines = 100,
    since: forms.Since | None = None,
) -> Any:
    """The last lines, redacted."""
    _existing(request, customer_id)
    return _asked(request, operations.logs, customer_id=customer_id, lines=lines, since=since)


@route.get(
    "/instances/{customer_id}/logs/stream",
    auth=may("operate", "logs", limited=True),
    response=responses(None, 404, 409, 504),
    operation_id="followLogs",
    summary="Follow an instance's log",
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {"schema": EVENT}}}}},
)
def follow(
    request: HttpRequest,
    customer_id: forms.CustomerId,
    lines: Lines = 100,
    since: forms.Since | None = None,
    last_event_id: forms.LastEventId = None,
) -> StreamingHttpResponse:
    """Server-sent events: `data` is a line as a JSON text, `id` its time. Ends after ten minutes with an
    event `end`, or with an event `error` whose data is a problem document; show `Last-Event-ID` to go on with
    all lines since. An event `missed` comes where there were more than are read at once."""
    _existing(request, customer_id)
    return log_stream.response(request, customer_id, lines, since, last_event_id)


def _asked(request: HttpRequest, task: Task[..., Any], **kwargs: Any) -> Any:
    """What a worker answers. Raises what the task raises, and ProblemError when too many wait."""
    with held():
        return call(task, WAIT, partial(has_gone, request), **kwargs)


def _existing(request: HttpRequest, customer_id: str) -> None:
    call_of(request).target = customer_id
    present(request, customer_id)
