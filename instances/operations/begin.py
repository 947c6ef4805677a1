"""Taking an instance for a new operation: the row that locks it and tells who asked for what."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from instances.errors import BusyError, RequestError
from instances.incidents.feed import tell_of_operation
from instances.models import Instance, Operation
from instances.operations.leases import QUEUED_FOR
from instances.operations.requester import Requester

Sign = Callable[[uuid.UUID, str], dict[str, str]]


def by_request(request_id: str | None, kind: str, customer_id: str) -> Operation | None:
    """The operation an earlier request with this id made, if any.

    Raises RequestError when that was a request for something else.
    """
    earlier = Operation.objects.filter(request_id=request_id).first() if request_id else None
    if earlier is not None and (earlier.kind, earlier.customer_id) != (kind, customer_id):
        raise RequestError(f"This request id was used for the {earlier.kind} of {earlier.customer_id}.")
    return earlier


def unsigned(_operation_id: uuid.UUID, _customer_id: str) -> dict[str, str]:
    """Nothing had to be allowed."""
    return {}


def open_operation(
    kind: str,
    instance: Instance,
    now: datetime,
    requester: Requester,
    *,
    automatic: bool = False,
    params: dict[str, Any] | None = None,
    sign: Sign = unsigned,
) -> Operation:
    """Take the instance for a new operation. Raises BusyError while another one holds it.

    Call it inside the transaction that makes what belongs to the operation. `sign` returns further parameters
    that prove, for this operation alone, what was allowed. Raises RequestError for anything but the removal
    of a customer whose removal began.
    """
    _refuse_if_leaving(instance, kind)
    try:
        with transaction.atomic():
            identity = uuid.uuid4()
            operation = Operation.objects.create(
                id=identity,
                kind=kind,
                instance=instance,
                customer_id=instance.customer_id,
                host_id=instance.host_id,
                request_id=requester.request_id or None,
                requested_by=requester.requested_by,
                reason=requester.reason,
                automatic=automatic,
                params={**(params or {}), **sign(identity, instance.customer_id)},
                image_before=instance.image_id,
                created_at=now,
                lease_expires_at=now + timedelta(seconds=QUEUED_FOR),
            )
            tell_of_operation(operation, operation.status, now)
            return operation
    except IntegrityError:
        raise BusyError(who_holds(instance.customer_id)) from None


def _refuse_if_leaving(instance: Instance, kind: str) -> None:
    if instance.leaving_at is not None and kind != "decommission":
        raise RequestError(
            f"{instance.customer_id} is being removed since {instance.leaving_at:%Y-%m-%d %H:%M} UTC: "
            "decommission it again to see that through."
        )


def who_holds(customer_id: str) -> str:
    """A sentence about the operation that is in the way."""
    other = Operation.objects.filter(customer_id=customer_id, finished_at=None).first()
    if other is None:
        return f"{customer_id} was just taken by another operation; try again."
    return (
        f"{customer_id} is being changed: {other.kind} asked for by {other.requested_by} "
        f"since {other.created_at:%H:%M:%S} UTC is {other.status}."
    )
