"""Orders for a selection of instances, carried out turn by turn."""

from __future__ import annotations

import uuid

from instances.errors import OutOfReachError, RequestError
from instances.fleet import bulk as bulk_changing
from instances.models import Bulk
from tasks.app import task
from tasks.arguments import number
from tasks.broker.connection import reaching_broker, require_broker
from tasks.checks import enqueue_checks
from tasks.operations import enqueue


@task("dockmgr.carry_out_bulk")
def carry_out_bulk(bulk_id: str, turn: int = 0) -> None:
    """Begin what an order may begin now, and come back while some of its instances still wait."""
    identity, turn = _identity(bulk_id), number(turn, "turn")
    if customers := bulk_changing.to_check(identity, turn):
        enqueue_checks(customers)
    begun = bulk_changing.advance(identity, turn)
    for operation in begun.operations:
        enqueue(operation)
    if begun.following is not None:
        _publish(identity, begun.following, bulk_changing.BETWEEN_TURNS.total_seconds())


def _identity(bulk_id: object) -> uuid.UUID:
    try:
        return uuid.UUID(str(bulk_id))
    except ValueError:
        raise RequestError("There is no order for a selection of that id.") from None


def enqueue_or_forget(bulk: Bulk) -> None:
    """Have the workers carry the order out, or forget that it was given. Raises OutOfReachError."""
    try:
        require_broker()
        _publish(bulk.pk, bulk.turn)
    except OutOfReachError:
        bulk.delete()
        raise


def enqueue_turn(bulk: Bulk) -> None:
    """Have an order carried on from where it stands. Raises OutOfReachError without a broker."""
    _publish(bulk.pk, bulk.turn)


def _publish(bulk_id: uuid.UUID, turn: int, countdown: float = 0.0) -> None:
    with reaching_broker():
        carry_out_bulk.apply_async(kwargs={"bulk_id": str(bulk_id), "turn": turn}, countdown=countdown)
