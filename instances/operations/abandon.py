"""Ending by hand an operation that can't end by itself."""

from __future__ import annotations

import logging
import uuid

from instances import state_file
from instances.db.errors import may_pass
from instances.errors import RequestError
from instances.models import Operation
from instances.operations.attempts import brief, courtesy
from instances.operations.fence import fenced
from instances.operations.journal import Journal
from instances.operations.procedure import Work
from instances.operations.remains import remains
from instances.operations.requester import Requester
from instances.operations.runner import close_without_instance, end_is_settled
from instances.operations.service import procedure_of
from instances.outside import Outside, engine_address

logger = logging.getLogger(__name__)

ABANDONED = "abandoned"  # in place of the steps of the way back


def abandon(operation_id: str, requester: Requester, outside: Outside) -> Operation:
    """Close an unfinished operation as failed, with what is left where, and free its instance.

    Nothing on the engine is changed. Whoever works on it hears LeaseLost at the next step. Raises
    RequestError without a reason, and for an operation that is unknown or finished.
    """
    if not requester.reason.strip():
        raise RequestError("Say why the operation is abandoned.")
    identity = _identity(operation_id)
    journal = Journal.seize(identity, outside.clock)
    if journal is None:
        raise RequestError(_why_not(identity))
    why = requester.reason.strip().removesuffix(".")
    journal.write(error=f"abandoned by {requester.requested_by}: {why}.")
    _close(journal, outside)
    courtesy("The state file", state_file.write)
    return Operation.objects.get(pk=identity)


def _identity(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise RequestError("An operation's id has 32 hexadecimal digits.") from None


def _why_not(identity: uuid.UUID) -> str:
    known = Operation.objects.filter(pk=identity).first()
    if known is None:
        return f"There is no operation {identity}."
    return f"Operation {identity} is over: it {_ENDS.get(known.status, known.status)}."


_ENDS = {"rolled_back": "was rolled back"}


def _close(journal: Journal, outside: Outside) -> None:
    operation, instance = journal.operation, journal.operation.instance
    if instance is None:
        close_without_instance(journal)
        return
    engine = fenced(outside.engines.at(engine_address(instance.host)), journal)
    error = f"{operation.error} {remains(instance, engine, operation)}"
    journal.remember(left_undone=[ABANDONED], own_trouble=True)
    work = Work(instance, engine, journal, outside)
    try:
        with work.closing():
            _set_health(work)
            journal.close("failed", error)
    except Exception as trouble:  # what the end means for the instance is found out by checks as well
        if may_pass(trouble):
            raise
        logger.warning("%s of %s: %s", operation.kind, operation.customer_id, brief(trouble))
        journal.close("failed", error)


def _set_health(work: Work) -> None:
    """What the operation's failure means for the instance, unless what it made is in service already."""
    procedure = procedure_of(work.operation)
    if not end_is_settled(procedure, work):
        procedure.failed(work)
