"""Instances: the list, their state, their history."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from instances import documents
from instances.api import forms, paging, shapes
from instances.api.authentication import may
from instances.api.call import call_of
from instances.api.changing import present
from instances.api.docs import responses
from instances.api.routes.router import Routes
from instances.fleet import past
from instances.models import HealthCheck, Instance
from instances.models.instance import SECRETS
from instances.operations import service

route = Routes("instances")


@route.get(
    "/instances",
    auth=may("read", limited=True),
    response=responses(shapes.InstancePage),
    operation_id="listInstances",
    summary="List instances",
)
def list_instances(
    request: HttpRequest,
    status: forms.Status | None = None,
    plan: forms.Name | None = None,
    host: forms.Name | None = None,
    q: forms.Search | None = None,
    cursor: forms.CustomerId | None = None,
    limit: forms.Limit = 50,
) -> dict[str, Any]:
    """By customer id. Filters are combined."""
    rows = Instance.objects.present().exclude(health=None).select_related("plan", "host", "health")
    rows = rows.filter(call_of(request).reach.rows()).defer(*SECRETS)
    rows = paging.filtered(rows, health__status=status, plan__name=plan, host__name=host)
    if q is not None:
        rows = rows.filter(Q(customer_id__contains=q) | Q(subdomain__contains=q))
    page, following = paging.by_name(rows, "customer_id", cursor, limit)
    return {"items": [documents.instance(row) for row in page], "next": following}


@route.get(
    "/instances/{customer_id}",
    auth=may("read", limited=True),
    response=responses(documents.shapes.Instance, 404),
    operation_id="getInstance",
    summary="Show an instance",
)
def get_instance(request: HttpRequest, customer_id: forms.CustomerId) -> documents.shapes.Instance:
    return documents.instance(present(request, customer_id))


@route.get(
    "/instances/{customer_id}/history",
    auth=may("read", limited=True),
    response=responses(shapes.PastPage, 404),
    operation_id="listChecks",
    summary="List an instance's health checks",
)
def list_checks(
    request: HttpRequest,
    customer_id: forms.CustomerId,
    since: forms.Since = "1d",
    cursor: forms.TimeCursor | None = None,
    limit: forms.Limit = 50,
) -> dict[str, Any]:
    """The newest first, back to `since`: each failure, each change, and of the rest one in ten minutes.

    They are kept for a week as shipped; sums reach further back.
    """
    begin = forms.since(since, call_of(request).now)
    rows = HealthCheck.objects.filter(instance=present(request, customer_id), checked_at__gte=begin)
    page, following = paging.newest_rows(rows, "checked_at", cursor, limit)
    items = [documents.history(row) for row in page]
    return {"customer_id": customer_id, "items": items, "next": following}


@route.get(
    "/instances/{customer_id}/history/sums",
    auth=may("read", limited=True),
    response=responses(shapes.PastSums, 404),
    operation_id="listPastSums",
    summary="Sum up an instance's past by hour or day",
)
def list_past_sums(
    request: HttpRequest, customer_id: forms.CustomerId, since: forms.Since = "30d", by: forms.By = "day"
) -> dict[str, Any]:
    """Back to the hour or day of `since`, in UTC, for as long as sums are kept."""
    now = call_of(request).now
    summed = past.by_hour if by == "hour" else past.by_day
    sums = summed(present(request, customer_id), forms.since(since, now), now)
    return {"customer_id": customer_id, "items": [past.document(each) for each in sums]}


@route.post(
    "/instances/{customer_id}/pause",
    auth=may("operate", "pause", limited=True),
    response=responses(documents.shapes.Instance, 400, 404, 409, 411, 413),
    operation_id="pauseInstance",
    summary="Take an instance out of watch",
)
def pause(
    request: HttpRequest, customer_id: forms.CustomerId, wanted: forms.Change | None = None
) -> documents.shapes.Instance:
    """No checks, no healing, no alerts until it is resumed."""
    _noted(request, customer_id, wanted)
    return documents.instance(service.pause(customer_id, call_of(request).requester()))


@route.post(
    "/instances/{customer_id}/resume",
    auth=may("operate", "resume", limited=True),
    response=responses(documents.shapes.Instance, 400, 404, 409, 411, 413),
    operation_id="resumeInstance",
    summary="Watch an instance again",
)
def resume(
    request: HttpRequest, customer_id: forms.CustomerId, wanted: forms.Change | None = None
) -> documents.shapes.Instance:
    """With a clean sheet; an instance that is not paused is left as it is."""
    _noted(request, customer_id, wanted)
    return documents.instance(service.resume(customer_id))


def _noted(request: HttpRequest, customer_id: str, wanted: forms.Change | None) -> None:
    call = call_of(request)
    call.target, call.reason = customer_id, wanted.reason if wanted else ""
    present(request, customer_id)
