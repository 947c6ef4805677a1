"""Telling the workers of operations nobody works on: once, and again only when the message is lost."""

from __future__ import annotations

from datetime import datetime, timedelta

from instances.models import Operation
from instances.operations.leases import QUEUED_FOR

REMEMBERED_FOR = 3600.0  # seconds a broker keeps a message that was taken and not acknowledged


def message_is_lost(operation: Operation, now: datetime, *, queue_empty: bool) -> bool:
    """Whether an operation without a holder needs another message. Pure.

    One whose holder died does, and one nobody was told of. Otherwise the message is believed to wait
    in the queue. Where the queue is known to be empty it may still wait in a worker, so patience grows
    with what was waited.
    """
    told = operation.handed_over_at
    if operation.lease_owner or told is None or told > now:
        return True
    waited, before = (now - told).total_seconds(), (told - operation.created_at).total_seconds()
    patience = min(max(QUEUED_FOR, before), REMEMBERED_FOR) if queue_empty else REMEMBERED_FOR
    return waited >= patience


def take_to_hand_over(operation: Operation, now: datetime) -> bool:
    """Be the one process that sends the operation's message; the next one is not due before its time."""
    as_read = {name: getattr(operation, name) for name in ("token", "lease_owner", "handed_over_at")}
    mine = Operation.objects.filter(
        pk=operation.pk, finished_at=None, lease_expires_at=operation.lease_expires_at, **as_read
    )
    until = now + timedelta(seconds=QUEUED_FOR)
    return bool(mine.update(lease_owner="", lease_expires_at=until, handed_over_at=now))
