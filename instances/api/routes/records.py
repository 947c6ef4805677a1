"""What happened: operations and incidents."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from pydantic import Field

from instances import documents, lookup
from instances.api import event_stream, forms, paging, shapes
from instances.api.authentication import may
from instances.api.call import call_of
from instances.api.docs import responses
from instances.api.problems import existing
from instances.api.routes.router import Routes
from instances.incidents import documents as incident_documents
from instances.incidents.acknowledge import acknowledge
from instances.models import Incident, Operation

route = Routes("records")
EVENT = {
    "description": "one event",
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "its place, for Last-Event-ID"},
        "event": {"enum": ["incident", "operation", "missed", "end", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
Row = TypeVar("Row", bound=Model)
IncidentId = Annotated[int, Field(ge=1, le=2**63 - 1)]


@route.get(
    "/operations",
    auth=may("read", limited=True),
    response=responses(shapes.OperationPage),
    operation_id="listOperations",
    summary="List operations",
)
def list_operations(
    request: HttpRequest,
    customer_id: forms.CustomerId | None = None,
    status: forms.OperationStatus | None = None,
    cursor: forms.OperationCursor | None = None,
    limit: forms.Limit = 50,
) -> dict[str, Any]:
    """The newest first; also those of instances that are gone."""
    rows = paging.filtered(_within(request, Operation.objects.all()), customer_id=customer_id, status=status)
    page, following = paging.newest_first(rows, "created_at", cursor, limit)
    return {
        "items": [documents.operation(row, in_full=call_of(request).is_admin) for row in page],
        "next": following,
    }


@route.get(
    "/operations/{operation_id}",
    auth=may("read", limited=True),
    response=responses(documents.shapes.Operation, 404),
    operation_id="getOperation",
    summary="Show an operation",
)
def get_operation(request: HttpRequest, operation_id: uuid.UUID) -> documents.shapes.Operation:
    return documents.operation(_operation(request, operation_id), in_full=call_of(request).is_admin)


@route.get(
    "/operations/{operation_id}/log",
    auth=may("operate", "logs", limited=True),
    response=responses(documents.shapes.OperationLog, 404),
    operation_id="readOperationLog",
    summary="Read what an operation's containers wrote last",
)
def operation_log(request: HttpRequest, operation_id: uuid.UUID) -> documents.shapes.OperationLog:
    """The last lines before it stopped or removed them, redacted; kept for DOCKMGR_LAST_WORDS_DAYS."""
    operation = _operation(request, operation_id)
    call_of(request).target = operation.customer_id
    return documents.operation_log(operation)


@route.get(
    "/incidents",
    auth=may("read", limited=True),
    response=responses(shapes.IncidentPage),
    operation_id="listIncidents",
    summary="List incidents",
)
def list_incidents(
    request: HttpRequest,
    open: bool | None = None,
    customer_id: forms.CustomerId | None = None,
    cursor: forms.TimeCursor | None = None,
    limit: forms.Limit = 50,
) -> dict[str, Any]:
    """The newest first: all, the open ones, or the resolved ones."""
    rows = _within(request, Incident.objects.all())
    rows = paging.filtered(rows, resolved_at__isnull=open, customer_id=customer_id)
    page, following = paging.newest_first(rows, "opened_at", cursor, limit)
    items = incident_documents.incidents(page, call_of(request).now)
    return {"items": items, "next": following}


@route.get(
    "/events",
    auth=may("read", limited=True),
    response=responses(None),
    operation_id="followEvents",
    summary="Follow incidents and operations",
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {"schema": EVENT}}}}},
)
def follow_events(request: HttpRequest, last_event_id: forms.EventId = None) -> StreamingHttpResponse:
    """Server-sent events `incident` and `operation` as they happen: `data` says what changed, and has the
    INCIDENT or OPERATION as it is then. Ends after ten minutes with an event `end`, or with an event `error`
    whose data is a problem document; show `Last-Event-ID` to go on. After an event `missed` some are not
    kept any more."""
    return event_stream.response(request, last_event_id)


@route.post(
    "/incidents/{incident_id}/acknowledge",
    auth=may("operate", "acknowledge", limited=True),
    response=responses(documents.shapes.Incident, 400, 404, 409, 411, 413),
    operation_id="acknowledgeIncident",
    summary="Acknowledge an incident",
)
def acknowledge_incident(
    request: HttpRequest, incident_id: IncidentId, wanted: forms.Change | None = None
) -> documents.shapes.Incident:
    """Ends its reminders, not the message that it is over. The first who did stays on record."""
    call = call_of(request)
    call.target, call.reason = str(incident_id), wanted.reason if wanted else ""
    existing(partial(lookup.incident, rows=_within(request, Incident.objects.all())), incident_id)
    seen = acknowledge(incident_id, call.actor, call.now, call.reason)
    return incident_documents.incident(seen, call.now)


def _operation(request: HttpRequest, operation_id: uuid.UUID) -> Operation:
    """The operation, if the caller's token is for it. Raises ProblemError 404."""
    return existing(partial(lookup.operation, rows=_within(request, Operation.objects.all())), operation_id)


def _within(request: HttpRequest, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those that the caller's token is for."""
    return rows.filter(call_of(request).reach.rows("instance"))
