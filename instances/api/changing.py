"""From a request for a change to its operation: found again, or begun and handed to the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from instances import documents, lookup
from instances.api import idempotency
from instances.api.call import call_of
from instances.api.problems import existing
from instances.models import Instance, Operation
from instances.operations.journal import by_request
from instances.operations.requester import Requester
from tasks.operations import enqueue_or_withdraw

Document = dict[str, Any]


def present(customer_id: str) -> Instance:
    """The instance of a customer. Raises ProblemError 404."""
    return existing(lookup.instance, customer_id)


def change(
    request: HttpRequest,
    kind: str,
    customer_id: str,
    key: str | None,
    asked: dict[str, Any],
    begin: Callable[[Requester], Operation],
) -> documents.shapes.Operation:
    """OPERATION of a change: the one an equal request with this key began, or a new one, enqueued.

    `asked` is all that was asked for, by which equal requests are known.
    """
    call = call_of(request)
    call.target = customer_id
    identity = idempotency.request_id(call, key)
    if key is not None:
        idempotency.note(call, key, asked)
    operation = by_request(identity, kind, customer_id)
    if operation is None:
        operation = enqueue_or_withdraw(begin(call.requester(identity)))
    call.outcome = f"operation {operation.pk}"
    return documents.operation(operation, in_full=call.is_admin)
