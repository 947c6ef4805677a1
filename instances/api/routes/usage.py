"""What customers used, for reports and billing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from instances import documents
from instances.api import forms
from instances.api.authentication import may
from instances.api.call import Call, call_of
from instances.api.docs import responses
from instances.api.routes.router import Routes
from instances.monitoring.usage_report import as_csv, report

route = Routes("records")
TABLE = {"schema": {"type": "string"}}


@route.get(
    "/usage",
    auth=may("read", limited=True),
    response=responses(list[documents.shapes.Usage]),
    operation_id="listUsage",
    summary="What each customer used",
)
def list_usage(
    request: HttpRequest, since: forms.Since = "30d", customer_id: forms.CustomerId | None = None
) -> list[documents.shapes.Usage]:
    """CPU, memory, network, block devices and disk since a time, in one list by customer."""
    return _report(call_of(request), since, customer_id)


@route.get(
    "/usage.csv",
    auth=may("read", limited=True),
    response=responses(None),
    operation_id="usageTable",
    summary="What each customer used, as a table",
    openapi_extra={"responses": {200: {"content": {"text/csv": TABLE}}}},
)
def usage_table(
    request: HttpRequest, since: forms.Since = "30d", customer_id: forms.CustomerId | None = None
) -> HttpResponse:
    """The same rows with a line of names, RFC 4180."""
    rows = _report(call_of(request), since, customer_id)
    return HttpResponse(as_csv(rows), content_type="text/csv; charset=utf-8")


def _report(call: Call, since: str, customer_id: str | None) -> list[documents.shapes.Usage]:
    """Of those whom the caller's token is for."""
    return report(forms.since(since, call.now), call.now, customer_id, call.reach.rows())
