"""What callers ask for: each verb checks the request, takes the instance and sees the work through."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from instances import lookup
from instances.db.errors import may_pass
from instances.db.retry import retry_on_disconnect, retry_while_busy
from instances.engine.pool import Engines
from instances.errors import BusyError, LeaseLost, NotUndoneYet, RequestError
from instances.lib import validators
from instances.limits import UNDO, WAITED_FOR
from instances.models import Instance, Operation
from instances.operations import image_choice
from instances.operations.attempts import TryAgain, brief
from instances.operations.begin import by_request
from instances.operations.journal import abandoned
from instances.operations.pause import begin_pause, end_pause
from instances.operations.procedure import Procedure
from instances.operations.procedures import decommission, restart, update
from instances.operations.procedures import provision as provisioning
from instances.operations.provision_result import ProvisionResult, provision_result
from instances.operations.requester import Requester, at_machine
from instances.operations.runner import close_unstarted, run
from instances.operations.validate import Validation
from instances.operations.validate import validate as validate_instance
from instances.outside import Outside

logger = logging.getLogger(__name__)

ELSEWHERE_SECONDS = 0.5  # until an operation somebody else works on is looked at again
OUTSIDE = Outside(engines=Engines())
PROCEDURES: dict[str, Procedure] = {
    procedure.kind: procedure
    for procedure in (restart.PROCEDURE, provisioning.PROCEDURE, decommission.PROCEDURE)
}


def procedure_of(operation: Operation) -> Procedure:
    return update.procedure(operation) if operation.kind == "update" else PROCEDURES[operation.kind]


def run_once(operation_id: uuid.UUID, outside: Outside | None = None, *, until: str = "") -> Operation:
    """Carry an operation as far as it goes now, or to the end of the step `until`.

    Raises TryAgain when it is to be carried on later, BusyError and LeaseLost when another process is at it.
    """
    outside = outside or OUTSIDE
    operation = retry_on_disconnect(lambda: Operation.objects.get(pk=operation_id), outside.clock)
    return run(procedure_of(operation), operation_id, outside, until)


def run_or_wait(
    operation_id: uuid.UUID, outside: Outside | None = None, *, tries: int = UNDO.tries
) -> Operation:
    """Carry an operation to its end, or wait while somebody else does who took it up, or took it over."""
    outside = outside or OUTSIDE
    while True:
        try:
            return run_to_end(operation_id, outside, tries=tries)
        except (BusyError, LeaseLost):
            outside.wait(ELSEWHERE_SECONDS)


def see_through(operation_id: uuid.UUID, outside: Outside | None = None) -> Operation:
    """As `run_or_wait`, for somebody who waits himself. Raises NotUndoneYet when that would be long."""
    return run_or_wait(operation_id, outside, tries=WAITED_FOR)


def run_to_end(
    operation_id: uuid.UUID, outside: Outside | None = None, *, tries: int = UNDO.tries
) -> Operation:
    """Carry an operation to its end here, waiting between tries. Raises as `run_once` but for TryAgain.

    Raises NotUndoneYet when it could not be undone in so many tries.
    """
    outside = outside or OUTSIDE
    while True:
        try:
            return run_once(operation_id, outside)
        except TryAgain as pause:
            _refuse_to_wait(operation_id, str(pause), tries)
            logger.warning("%s Trying again in %.0f s.", pause, pause.seconds)
            outside.wait(pause.seconds + 0.05)


def _refuse_to_wait(operation_id: uuid.UUID, why: str, tries: int) -> None:
    vain = Operation.objects.filter(pk=operation_id, undoing=True, tries__gte=tries).first()
    if vain is not None:
        raise NotUndoneYet(
            f"The {vain.kind} of {vain.customer_id} failed: {vain.error} It can't be undone for now: {why} "
            "Workers go on with that, as does daily_health or the next command for this customer."
        )


def recover(outside: Outside | None = None, customer_id: str | None = None) -> list[Operation]:
    """Carry on every operation whose process died; of one customer, if one is named. Returns the ended.

    One that is to be tried again later is left to whoever comes then: nobody waits for it here.
    """
    outside = outside or OUTSIDE
    left = [op for op in abandoned(outside.clock.now()) if customer_id in (None, op.customer_id)]
    done = (carry_on(operation, outside) for operation in left)
    return [operation for operation in done if operation is not None]


def carry_on(operation: Operation, outside: Outside) -> Operation | None:
    """Carry somebody else's operation as far as it goes now; None when it does not end by that.

    Whatever is wrong with it concerns its customer alone, and is one line in the log.
    """
    try:
        return run_once(operation.pk, outside)
    except (BusyError, LeaseLost):
        return None  # Another process was quicker.
    except Exception as error:
        if may_pass(error):
            raise
        logger.warning("%s of %s is not over: %s", operation.kind, operation.customer_id, brief(error))
        return None


def begin_restart(
    customer_id: str,
    requester: Requester,
    outside: Outside | None = None,
    *,
    with_empty_data: bool = False,
) -> Operation:
    """Take an instance for a restart, on empty storage where its own is gone if that is asked for.

    Raises RequestError or BusyError.
    """
    if not isinstance(with_empty_data, bool):
        raise RequestError("Whether to begin with empty data must be true or false.")
    now = (outside or OUTSIDE).clock.now()
    return once(
        "restart",
        customer_id,
        requester,
        {"with_empty_data": with_empty_data},
        lambda asked: restart.begin(
            lookup.instance(customer_id), now, asked, with_empty_data=with_empty_data
        ),
    )


def begin_decommission(
    customer_id: str, requester: Requester, *, purge_data: bool = False, outside: Outside | None = None
) -> Operation:
    """Take an instance for its removal. Raises RequestError or BusyError."""
    if not isinstance(purge_data, bool):
        raise RequestError("Whether to purge the data must be true or false.")
    now = (outside or OUTSIDE).clock.now()
    return once(
        "decommission",
        customer_id,
        requester,
        {"purge_data": purge_data},
        lambda asked: decommission.begin(lookup.instance(customer_id), now, asked, purge_data=purge_data),
    )


def begin_update(
    customer_id: str,
    requester: Requester,
    *,
    image: str | None = None,
    told: uuid.UUID | None = None,
    outside: Outside | None = None,
) -> Operation:
    """Take an instance for an update. Raises RequestError or BusyError.

    `told` is an update of another one whose registry is not asked the same again so soon after it.
    """
    now = (outside or OUTSIDE).clock.now()
    ref = validators.image(image) if image is not None else None

    def begin(asked: Requester) -> Operation:
        instance = lookup.instance(customer_id)
        choice = image_choice.checked(instance.plan, ref, asked, instance)
        return update.begin(instance, now, asked, image=ref, told=told, choice=choice)

    return once("update", customer_id, requester, {"image": ref}, begin)


def begin_provision(
    order: provisioning.ProvisionRequest,
    requester: Requester,
    outside: Outside | None = None,
    *,
    ask_engines: bool = True,
) -> Operation:
    """Write a new instance down and take it. Raises RequestError, or OutOfReachError without a host.

    A process that reaches no engine says so; a host whose engine failed when it was last asked is then
    passed over.
    """
    return once(
        "provision",
        order.customer_id,
        requester,
        vars(order),
        lambda asked: provisioning.begin(order, outside or OUTSIDE, asked, ask_engines=ask_engines),
    )


def once(
    kind: str,
    customer_id: str,
    requester: Requester,
    asked: dict[str, Any],
    begin: Callable[[Requester], Operation],
) -> Operation:
    """Begin an operation, or join the one an equal request began before or at this very moment.

    `asked` is all that is asked for: another request with the same id is refused. Orders that come at
    once wait for each other's rows: one that waited too long queues again.
    """
    validators.customer_id(customer_id)
    earlier = by_request(requester.request_id, kind, customer_id, asked)
    if earlier is not None:
        return earlier
    try:
        return retry_while_busy(lambda: begin(requester.asking(asked)))
    except (BusyError, RequestError):
        joined = by_request(requester.request_id, kind, customer_id, asked)
        if joined is None:
            raise
        return joined


def withdraw(operation: Operation, why: str, outside: Outside | None = None) -> bool:
    """Close an operation that nobody can be told to carry out, as if it had never been asked for.

    Returns whether that was done: one that somebody has taken up goes on.
    """
    is_closed = close_unstarted(procedure_of(operation), operation.pk, outside or OUTSIDE, why)
    if is_closed:
        Operation.objects.filter(pk=operation.pk).update(request_id=None)  # asking again is a new request
    return is_closed


def provision(
    customer_id: str,
    subdomain: str,
    plan: str,
    env: dict[str, str] | None = None,
    *,
    host: str | None = None,
    image: str | None = None,
    requested_by: str = "python",
    reason: str = "",
    request_id: str | None = None,
    keep_data: bool = False,
    fresh: bool = False,
) -> ProvisionResult:
    """A new instance, healthy and validated, or a result that says why nothing was left behind.

    Raises RequestError for a wrong order, OutOfReachError without a host: then nothing was touched. Raises
    NotUndoneYet where something has to be left behind for now.
    """
    former = provisioning.former_data(keep_data, fresh)
    order = provisioning.ProvisionRequest(
        customer_id, subdomain, plan, dict(env or {}), host, image, former_data=former
    )
    operation = begin_provision(order, at_machine(requested_by, reason, request_id))
    return provision_result(see_through(operation.pk), OUTSIDE, in_full=True)


def validate_deployment(subdomain: str, outside: Outside | None = None) -> Validation:
    """Validate the instance of a subdomain. Raises RequestError when there is none."""
    return validate_instance(lookup.instance_of_subdomain(subdomain), outside or OUTSIDE)


def pause(customer_id: str, requester: Requester | None = None) -> Instance:
    """No checks, no healing, no alerts, until resumed. The first who paused it, and why, stay on record."""
    return begin_pause(customer_id, requester or Requester("python"), OUTSIDE.clock.now())


def resume(customer_id: str) -> Instance:
    """Back under watch, with a clean sheet; an instance that is not paused is left as it is."""
    return end_pause(customer_id, OUTSIDE.clock.now())
