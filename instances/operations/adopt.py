"""Adopt: an existing container becomes an instance. It is looked at, and not touched.

An adopted instance whose container others made anew takes the new one the same way.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import IntegrityError, transaction

from instances import documents, state_file
from instances.counters import count_ended
from instances.db.locks import lock_in_order, locked
from instances.errors import BusyError, RequestError
from instances.incidents.feed import tell_of_operation
from instances.incidents.findings import FindingChange, apply_findings
from instances.models import Health, Host, Instance, Operation, Port
from instances.operations import first_look
from instances.operations.adoptable import Adoptable, AdoptRequest, managed, refuse_taken_port
from instances.operations.begin import by_request, open_operation
from instances.operations.procedures.provision import TRY_AGAIN, what_is_taken
from instances.operations.requester import Requester
from instances.operations.steps.approval import approved
from instances.outside import Outside

STEP = "adopt"
OF_THE_CONTAINER = (
    "plan", "image", "env", "port", "container", "adopted", "container_id", "image_id", "image_digest",
    "volumes", "approved_image", "host_access", "made_with",
)  # fmt: skip


def adopt(found: Adoptable, outside: Outside, requester: Requester) -> Instance:
    """Write the instance down, with its port and a finished operation. Raises RequestError."""
    requester = requester.asking(vars(found.order))
    try:
        with transaction.atomic():
            _refuse_managed_since(found)
            instance = _write_down(found, outside, requester)
    except IntegrityError:
        refuse_taken_port(found)
        order = found.order
        raise RequestError(what_is_taken(order.customer_id, order.subdomain) or TRY_AGAIN) from None
    state_file.write()
    return instance


def once(order: AdoptRequest, request_id: str | None, adopted: Callable[[], Instance]) -> Instance:
    """What is adopted now, or the instance an equal request made before or at this very moment."""
    earlier = _adopted_before(order, request_id)
    if earlier is not None:
        return earlier
    try:
        return adopted()
    except (BusyError, RequestError):
        joined = _adopted_before(order, request_id)
        if joined is None:
            raise
        return joined


def _adopted_before(order: AdoptRequest, request_id: str | None) -> Instance | None:
    """The instance an earlier request with this id made. Raises RequestError for another request's id."""
    operation = by_request(request_id, "adopt", order.customer_id, vars(order))
    return operation.instance if operation else None


def _refuse_managed_since(found: Adoptable) -> None:
    """Adoptions on a host wait here for each other: nothing else keeps two from taking one container."""
    host, order = found.host, found.order
    list(locked(Host.objects.filter(pk=host.pk)))
    taken = managed(host, found.facts, found.replaces, order.customer_id)
    if taken:
        raise RequestError(taken)


def _write_down(found: Adoptable, outside: Outside, requester: Requester) -> Instance:
    made = found.instance()
    at = outside.clock.now().isoformat()
    made.approved_image = approved(made.image_id, made.image, made.image_digest, requester.requested_by, at)
    if found.reaches:
        made.host_access = {"items": list(found.reaches), "by": requester.requested_by, "at": at}
    instance = found.replaces or made
    if found.replaces is None:
        instance.provisioned_at = outside.clock.now()
        instance.save()
    # Before the row of health, as every operation: of two that begin at once one waits.
    operation = open_operation("adopt", instance, outside.clock.now(), requester)
    if found.replaces is None:
        Health.objects.create(instance=instance)
    else:
        _taken_over(instance, made, outside)
    if found.place is not None:
        Port.objects.create(host=found.host, number=found.place.port, instance=instance)
    if found.seen is not None:
        first_look.note(instance, found.seen, outside)
        instance.health = Health.objects.get(pk=instance.pk)
    _close(operation, found, instance, outside)
    return instance


def _taken_over(instance: Instance, now: Instance, outside: Outside) -> None:
    """Write down all that is known of the container that was made anew."""
    lock_in_order(Health.objects.filter(pk=instance.pk))
    for name in OF_THE_CONTAINER:
        setattr(instance, name, getattr(now, name))
    instance.save(update_fields=OF_THE_CONTAINER)
    instance.ports.all().delete()
    if instance.finding:
        apply_findings([FindingChange(instance.pk, "", "")], outside.clock.now())


def _close(operation: Operation, found: Adoptable, instance: Instance, outside: Outside) -> None:
    now = outside.clock.now()
    time = documents.time(now)
    detail = f"container {found.facts.name}, left as it is"
    step = {"name": STEP, "status": "done", "started_at": time, "finished_at": time, "detail": detail}
    Operation.objects.filter(pk=operation.pk).update(
        status="succeeded", steps=[step], image_after=instance.image_id, started_at=now, finished_at=now
    )
    operation.refresh_from_db()
    tell_of_operation(operation, operation.status, now)
    count_ended(operation)
