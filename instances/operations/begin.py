"""Taking an instance for a new operation: the row that locks it and tells who asked for what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from instances.access.asked import OTHER_ARGUMENTS, differs, mark
from instances.errors import BusyError, RequestError
from instances.incidents.feed import tell_of_operation
from instances.models import Instance, Operation
from instances.operations.image_choice import OutsideImage
from instances.operations.leases import QUEUED_FOR
from instances.operations.requester import Requester

ASKED = "asked"  # the parameter that holds the mark of what was asked for


def by_request(
    request_id: str | None, kind: str, customer_id: str, asked: Mapping[str, Any] | None = None
) -> Operation | None:
    """The operation an earlier request with this id made, if any.

    Raises RequestError when that was a request for something else. Without `asked`, kind and customer are
    all that is compared.
    """
    earlier = Operation.objects.filter(request_id=request_id).first() if request_id else None
    if earlier is not None:
        refuse_other(earlier, kind, customer_id, asked)
    return earlier


def refuse_other(earlier: Operation, kind: str, customer_id: str, asked: Mapping[str, Any] | None) -> None:
    """Raise RequestError unless this is the operation that was asked for; what it does not tell may be."""
    same = f"This request id was used for the {earlier.kind} of {earlier.customer_id}"
    if (earlier.kind, earlier.customer_id) != (kind, customer_id):
        raise RequestError(f"{same}.")
    if asked is not None and differs(str(earlier.params.get(ASKED, "")), asked):
        raise RequestError(f"{same} {OTHER_ARGUMENTS}.")


def open_operation(
    kind: str,
    instance: Instance,
    now: datetime,
    requester: Requester,
    *,
    params: Mapping[str, Any] | None = None,
    choice: OutsideImage | None = None,
) -> Operation:
    """Take the instance for a new operation. Raises BusyError while another one holds it.

    Call it inside the transaction that makes what belongs to the operation. A `choice` is recorded, and
    signed for this operation alone. Raises RequestError for an instance that is gone by now, and for anything
    but the removal of a customer whose removal began.
    """
    operation = Operation(kind=kind, created_at=now, lease_expires_at=now + timedelta(seconds=QUEUED_FOR))
    _take_down_whom(operation, instance)
    _take_down_who(operation, requester)
    try:
        with transaction.atomic():
            proof = choice.proof(operation.pk, instance.customer_id, now) if choice else {}
            operation.params = {**(params or {}), **_asked(requester), **proof}
            operation.save(force_insert=True)
            _refuse_if_changed(instance, kind)
            tell_of_operation(operation, operation.status, now)
            return operation
    except IntegrityError:
        raise BusyError(who_holds(instance.customer_id)) from None


def _take_down_whom(operation: Operation, instance: Instance) -> None:
    operation.instance, operation.customer_id = instance, instance.customer_id
    operation.host_id, operation.image_before = instance.host_id, instance.image_id


def _take_down_who(operation: Operation, requester: Requester) -> None:
    operation.request_id = requester.request_id or None
    operation.requested_by, operation.reason = requester.requested_by, requester.reason
    operation.automatic = requester.automatic


def _asked(requester: Requester) -> dict[str, str]:
    return {ASKED: mark(requester.asked)} if requester.request_id else {}


def _refuse_if_changed(instance: Instance, kind: str) -> None:
    """The instance was read before it was taken; from here on only its holder changes it."""
    customer_id, read = instance.customer_id, (instance.container_id, instance.port)
    there = Instance.objects.present().filter(pk=instance.pk)
    found = there.values_list("leaving_at", "container_id", "port").first()
    if found is None:
        raise RequestError(f"There is no instance of customer {customer_id} any more.")
    leaving_at, *now = found
    if leaving_at is not None and kind != "decommission":
        raise RequestError(
            f"{customer_id} is being removed since {leaving_at:%Y-%m-%d %H:%M} UTC: "
            "decommission it again to see that through."
        )
    if tuple(now) != read:
        raise BusyError(f"{customer_id} was just changed by another operation; try again.")


def who_holds(customer_id: str) -> str:
    """A sentence about the operation that is in the way."""
    other = Operation.objects.filter(customer_id=customer_id, finished_at=None).first()
    if other is None:
        return f"{customer_id} was just taken by another operation; try again."
    return (
        f"{customer_id} is being changed: {other.kind} asked for by {other.requested_by} "
        f"since {other.created_at:%H:%M:%S} UTC is {other.status}."
    )
