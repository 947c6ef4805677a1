"""From a request for a change to its operation: found again, or begun and handed to the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from ninja import Status

from instances import documents, lookup
from instances.api import idempotency
from instances.api.call import call_of
from instances.api.problems import ProblemError, existing, unknown
from instances.models import Instance, Operation
from instances.operations.begin import by_request
from instances.operations.requester import Requester
from instances.operations.steps import data
from tasks.operations import enqueue_or_withdraw


def present(request: HttpRequest, customer_id: str) -> Instance:
    """The instance of a customer. Raises ProblemError 404, as well for one the caller's token is not for."""
    found = existing(lookup.instance, customer_id)
    if not call_of(request).reach.includes(found):
        raise unknown(f"There is no instance of customer {customer_id}.")
    return found


def within_subdomain(request: HttpRequest, subdomain: str) -> Instance:
    """The instance of a subdomain, if the caller's token is for it. Raises ProblemError 404."""
    found = existing(lookup.instance_of_subdomain, subdomain)
    if not call_of(request).reach.includes(found):
        raise unknown(f"There is no instance with the subdomain {subdomain}.")
    return found


def reachable(request: HttpRequest, customer_id: str, plan: str, host: str | None) -> None:
    """See that the caller's token is for an instance that is to be made. Raises ProblemError 403."""
    call = call_of(request)
    if call.reach.hosts and host is None:
        raise ProblemError(403, f"Say which host: {call.caller.name} is limited to {call.reach}.")
    if not call.reach.covers(customer_id, plan, host or ""):
        raise ProblemError(403, f"{call.caller.name} is limited to {call.reach}.")


def former_reachable(request: HttpRequest, customer_id: str) -> None:
    """See that the token is for the customer whose data is to be kept or deleted. Raises ProblemError 403."""
    call, former = call_of(request), data.former_with_data(customer_id)
    if former is not None and not call.reach.includes(former):
        raise ProblemError(
            403,
            f"The former data of {customer_id} is another's: {call.caller.name} is limited to {call.reach}.",
        )


def change(
    request: HttpRequest,
    kind: str,
    customer_id: str,
    key: str | None,
    asked: dict[str, Any],
    begin: Callable[[Requester], Operation],
) -> Status[Any]:
    """202 with an OPERATION: the one an equal request with this key began, or a new one, enqueued.

    `asked` is all that was asked for, by which equal requests are known.
    """
    call = call_of(request)
    call.target = customer_id
    identity = idempotency.request_id(call, key)
    with idempotency.noted(call, key, asked):
        operation = by_request(identity, kind, customer_id)
        if operation is None:
            operation = enqueue_or_withdraw(begin(call.requester(identity)))
    call.outcome = f"operation {operation.pk}"
    return Status(202, documents.operation(operation, in_full=call.is_admin))
