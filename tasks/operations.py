"""Changes to instances, and reading their logs, for other services and for ourselves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from celery import Task

from instances import documents, lookup
from instances.db.clock import SYSTEM
from instances.documents import shapes
from instances.errors import BusyError, LeaseLost, OutOfReachError
from instances.models import Operation
from instances.operations import read_logs, service
from instances.operations.attempts import TryAgain
from instances.operations.journal import is_held
from instances.operations.procedures import restart as restarting
from instances.operations.procedures.provision import ProvisionRequest, former_data
from instances.operations.provision_result import provision_result
from instances.operations.requester import Requester, a_service
from tasks import slips
from tasks.app import task
from tasks.arguments import number
from tasks.broker.connection import reaching_broker, require_broker
from tasks.capacity import CHANGES
from tasks.records import recorded
from tasks.trials import once_for_its_id, once_for_its_message

Document = dict[str, Any]
BUSY_SECONDS = 5.0  # until an operation somebody else works on is looked at again


def _carry(task: Task[..., Any], operation: Operation) -> Operation:
    """Carry on, or come back: after the wait the policy asks for, or when the present holder is done.

    What finds no place comes back as well; the thread is free meanwhile.
    """
    try:
        with CHANGES.place(healing=operation.automatic) as found:
            if found:
                return service.run_once(operation.pk)
        raise BusyError("All threads for changes are at work.")
    except TryAgain as pause:
        raise task.retry(countdown=pause.seconds, exc=pause) from pause
    except (BusyError, LeaseLost) as held:
        raise task.retry(countdown=BUSY_SECONDS, exc=held) from held


def _change(
    task: Task[..., Any], action: str, customer_id: str, requester: Requester, begin: Callable[[], Operation]
) -> Operation:
    """Begin an operation once for its request, write down that it was asked for, and carry it out."""
    return _carry(task, recorded(action, customer_id, requester, begin))


def _requester(task: Task[..., Any], requested_by: str, reason: str, request_id: str | None) -> Requester:
    """A message delivered twice has one task id, so it is one request."""
    own = request_id in (None, "")
    return a_service(requested_by, reason, f"task:{task.request.id}" if own else request_id)


@task("dockmgr.restart", bind=True)
def restart(
    self: Task[..., Any],
    customer_id: str,
    requested_by: str = "task",
    reason: str = "",
    request_id: str | None = None,
    with_empty_data: bool = False,
) -> shapes.Operation:
    """Stop, start, wait until healthy; returns the OPERATION."""
    requester = _requester(self, requested_by, reason, request_id)
    begin = partial(service.begin_restart, customer_id, requester, with_empty_data=with_empty_data)
    return documents.operation(_change(self, "restart", customer_id, requester, begin))


@task("dockmgr.update", bind=True)
def update(
    self: Task[..., Any],
    customer_id: str,
    image: str | None = None,
    requested_by: str = "task",
    reason: str = "",
    request_id: str | None = None,
) -> shapes.Operation:
    """Pull, replace, gate, roll back on failure; returns the OPERATION.

    An image is one that the customer's plan may run.
    """
    requester = _requester(self, requested_by, reason, request_id)
    begin = partial(service.begin_update, customer_id, requester, image=image)
    return documents.operation(_change(self, "update", customer_id, requester, begin))


@task("dockmgr.decommission", bind=True)
def decommission(
    self: Task[..., Any],
    customer_id: str,
    purge_data: bool = False,
    requested_by: str = "task",
    reason: str = "",
    request_id: str | None = None,
) -> shapes.Operation:
    """Remove the container, and the volume if asked; returns the OPERATION."""
    requester = _requester(self, requested_by, reason, request_id)
    begin = partial(service.begin_decommission, customer_id, requester, purge_data=purge_data)
    return documents.operation(_change(self, "decommission", customer_id, requester, begin))


@task("dockmgr.provision", bind=True)
def provision(
    self: Task[..., Any],
    customer_id: str,
    subdomain: str,
    plan: str,
    env: dict[str, str] | None = None,
    host: str | None = None,
    image: str | None = None,
    requested_by: str = "task",
    reason: str = "",
    request_id: str | None = None,
    keep_data: bool = False,
    fresh: bool = False,
) -> Document:
    """A new instance, healthy, or nothing left behind; returns the result document."""
    order = ProvisionRequest(
        customer_id,
        subdomain,
        plan,
        {} if env is None else env,
        host,
        image,
        former_data=former_data(keep_data, fresh),
    )
    requester = _requester(self, requested_by, reason, request_id)
    begin = partial(service.begin_provision, order, requester)
    ended = _change(self, "provision", customer_id, requester, begin)
    return provision_result(ended, service.OUTSIDE).document()


@task("dockmgr.carry_on", bind=True)
def carry_on(self: Task[..., Any], operation_id: str) -> None:
    """Work on an operation that is written down already: queued, abandoned, or to be tried again.

    Dropped when somebody else is at it: should that one die, `dockmgr.recover` sends another message.
    """
    operation = lookup.operation(operation_id)
    if not is_held(operation, SYSTEM.now()):
        _carry(self, operation)


@task("dockmgr.heal")
def heal(instance_id: int) -> None:
    """Take an unhealthy instance for a restart if that is still called for; dropped when it is busy."""
    operation = restarting.begin_automatic(number(instance_id, "instance"), SYSTEM.now())
    if operation is not None:
        enqueue(operation)


@task("dockmgr.test_deploy", bind=True)
def test_deploy(
    self: Task[..., Any],
    plan: str,
    image: str | None = None,
    host: str | None = None,
    requested_by: str = "task",
    reason: str = "",
    request_id: str | None = None,
    slip: str | None = None,
) -> shapes.TrialResult:
    """A throwaway instance through everything a customer's goes through; returns its steps.

    `slip` says, signed, who asked over the API and was recorded there.
    """
    asked = slips.requester_of(slip, self.request.id)
    with suppress(BusyError), CHANGES.place(healing=False) as found:
        if found and asked:
            return once_for_its_message(self.request.id, plan, image, host, asked)
        if found:
            service_asks = a_service(requested_by, reason, request_id)
            return once_for_its_id(plan, image, host, service_asks)
    raise self.retry(countdown=BUSY_SECONDS)


@task("dockmgr.logs")
def logs(
    customer_id: str, lines: int = 100, since: str | None = None, timestamps: bool = False
) -> shapes.Log:
    """The last lines of an instance's log, redacted; `timestamps` puts its time before each."""
    return read_logs.log(customer_id, lines, since, service.OUTSIDE, timestamps=timestamps)


@task("dockmgr.validate")
def validate(customer_id: str) -> shapes.Validation:
    """VALIDATION of an instance."""
    return service.validate_deployment(lookup.instance(customer_id).subdomain).document()


@task("dockmgr.validate_deployment")
def validate_deployment(subdomain: str) -> shapes.Validation:
    """VALIDATION of the instance behind a subdomain."""
    return service.validate_deployment(subdomain).document()


def enqueue(operation: Operation) -> None:
    """Hand an operation that is written down to the workers. The message holds nothing but its id.

    Raises OutOfReachError without a broker; the operation then starts when one is back.
    """
    with reaching_broker():
        carry_on.apply_async(kwargs={"operation_id": str(operation.pk)})
    Operation.objects.filter(pk=operation.pk).update(handed_over_at=SYSTEM.now())


def enqueue_or_withdraw(operation: Operation) -> Operation:
    """`enqueue`, or take the operation back as if it had never been asked for. Raises OutOfReachError.

    One that an equal request had handed over or carried out, or that somebody works on, stays as it is.
    """
    if operation.finished_at is not None or operation.handed_over_at is not None:
        return operation
    try:
        require_broker()
        enqueue(operation)
    except OutOfReachError as error:
        if service.withdraw(operation, str(error)):
            raise
    return operation
