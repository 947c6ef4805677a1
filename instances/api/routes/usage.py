"""What customers used, for reports and billing."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from instances import documents
from instances.api import forms
from instances.api.authentication import may
from instances.api.call import call_of
from instances.api.docs import responses
from instances.api.routes.router import router
from instances.monitoring.usage_report import as_csv, report

TAGS = ["records"]
TABLE = {"schema": {"type": "string"}}


@router.get(
    "/usage",
    tags=TAGS,
    auth=may("read"),
    response=responses(list[documents.shapes.Usage]),
    operation_id="listUsage",
    summary="What each customer used",
)
def list_usage(
    request: HttpRequest, since: forms.Since = "30d", customer_id: forms.CustomerId | None = None
) -> list[documents.shapes.Usage]:
    """CPU, memory, network, block devices and disk since a time, in one list by customer."""
    now = call_of(request).now
    return report(forms.since(since, now), now, customer_id)


@router.get(
    "/usage.csv",
    tags=TAGS,
    auth=may("read"),
    response=responses(None),
    operation_id="usageTable",
    summary="What each customer used, as a table",
    openapi_extra={"responses": {200: {"content": {"text/csv": TABLE}}}},
)
def usage_table(
    request: HttpRequest, since: forms.Since = "30d", customer_id: forms.CustomerId | None = None
) -> HttpResponse:
    """The same rows with a line of names, RFC 4180."""
    now = call_of(request).now
    return HttpResponse(
        as_csv(report(forms.since(since, now), now, customer_id)), content_type="text/csv; charset=utf-8"
    )
