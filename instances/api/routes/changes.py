"""Changes to instances: each is written down, handed to the workers, and answered with its OPERATION."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Status

from instances import documents, lookup
from instances.api import forms
from instances.api.authentication import may
from instances.api.call import call_of
from instances.api.changing import change, former_reachable, present, reachable
from instances.api.docs import responses
from instances.api.problems import ProblemError, existing
from instances.api.routes.router import Routes
from instances.models import Operation
from instances.operations import service
from instances.operations.procedures import provision as provisioning
from instances.operations.requester import Requester

route = Routes("changes")
EMPTY = (b"", b"{}", b"null")  # bodies that ask for nothing
ANSWERS = responses(documents.shapes.Operation, 400, 404, 409, 411, 413, status=202)


@route.post(
    "/instances",
    auth=may("admin", "provision", limited=True),
    response=ANSWERS,
    operation_id="provisionInstance",
    summary="Provision an instance",
)
def provision(request: HttpRequest, wanted: forms.Provision, key: forms.IdempotencyKey = None) -> Status[Any]:
    """A new instance, healthy, or nothing left behind. The values of `env` are stored encrypted."""
    call_of(request).reason = wanted.reason
    reachable(request, wanted.customer_id, wanted.plan, wanted.host)
    if wanted.keep_data or wanted.fresh:
        former_reachable(request, wanted.customer_id)

    def begin(asked: Requester) -> Operation:
        known(wanted.plan, wanted.host)
        former = provisioning.former_data(wanted.keep_data, wanted.fresh)
        order = provisioning.ProvisionRequest(
            wanted.customer_id,
            wanted.subdomain,
            wanted.plan,
            wanted.env,
            wanted.host,
            wanted.image,
            former_data=former,
        )
        return service.begin_provision(order, asked, ask_engines=False)

    return change(request, "provision", wanted.customer_id, key, wanted.model_dump(), begin)


@route.delete(
    "/instances/{customer_id}",
    auth=may("admin", "decommission", limited=True),
    response=responses(documents.shapes.Operation, 404, 409, 411, 413, status=202),
    operation_id="decommissionInstance",
    summary="Decommission an instance",
)
def decommission(
    request: HttpRequest,
    customer_id: forms.CustomerId,
    purge_data: bool = False,
    reason: forms.Reason = "",
    key: forms.IdempotencyKey = None,
) -> Status[Any]:
    """Stops and removes the container; the volume only with `purge_data`. A body is refused."""
    call_of(request).reason = reason
    if request.body.strip() not in EMPTY:
        raise ProblemError(422, "This takes no body: purge_data and reason are query parameters.")

    def begin(asked: Requester) -> Operation:
        present(request, customer_id)
        return service.begin_decommission(customer_id, asked, purge_data=purge_data)

    return change(request, "decommission", customer_id, key, {"purge": purge_data, "reason": reason}, begin)


@route.post(
    "/instances/{customer_id}/restart",
    auth=may("operate", "restart", limited=True),
    response=ANSWERS,
    operation_id="restartInstance",
    summary="Restart an instance",
)
def restart(
    request: HttpRequest,
    customer_id: forms.CustomerId,
    wanted: forms.Restart | None = None,
    key: forms.IdempotencyKey = None,
) -> Status[Any]:
    """Stop, start, wait until healthy."""
    wanted = wanted or forms.Restart()
    with_empty_data = wanted.with_empty_data
    call_of(request).reason = wanted.reason

    def begin(asked: Requester) -> Operation:
        present(request, customer_id)
        return service.begin_restart(customer_id, asked, with_empty_data=with_empty_data)

    return change(request, "restart", customer_id, key, wanted.model_dump(), begin)


@route.post(
    "/instances/{customer_id}/update",
    auth=may("operate", "update", limited=True),
    response=ANSWERS,
    operation_id="updateInstance",
    summary="Update an instance",
)
def update(
    request: HttpRequest,
    customer_id: forms.CustomerId,
    wanted: forms.Update | None = None,
    key: forms.IdempotencyKey = None,
) -> Status[Any]:
    """Pull, replace, wait until healthy; the old container comes back on failure."""
    wanted = wanted or forms.Update()
    image = wanted.image
    call_of(request).reason = wanted.reason

    def begin(asked: Requester) -> Operation:
        present(request, customer_id)
        return service.begin_update(customer_id, asked, image=image)

    return change(request, "update", customer_id, key, wanted.model_dump(), begin)


def known(plan: str, host: str | None) -> None:
    """Raises ProblemError 404 when there is no plan or host of that name."""
    existing(lookup.plan, plan)
    if host is not None:
        existing(lookup.host, host)
