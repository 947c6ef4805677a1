"""Taking an instance out of watch and back under it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from msgspec.structs import replace

from instances import lookup
from instances.checks.transition import change
from instances.db.retry import retry_while_busy
from instances.errors import BusyError
from instances.health.restarts import resumed
from instances.health.state import State, Status
from instances.models import Health, Instance, Operation
from instances.monitoring.unwatched import let_go
from instances.operations.begin import who_holds
from instances.operations.requester import Requester


def begin_pause(customer_id: str, asked: Requester, now: datetime) -> Instance:
    """No checks, no healing, no alerts, until resumed. The first who paused it, and why, stay on record."""
    noted = {"paused_at": now, "paused_by": asked.requested_by[:128], "pause_reason": asked.reason[:255]}
    return _set_state(customer_id, paused, noted, now)


def end_pause(customer_id: str, now: datetime) -> Instance:
    """Back under watch, with a clean sheet; an instance that is not paused is left as it is."""
    noted = {"paused_at": None, "paused_by": "", "pause_reason": ""}
    return _set_state(customer_id, lambda s: resumed(s) if s.status is Status.PAUSED else s, noted, now)


def paused(state: State) -> State:
    """The state of one that is paused. Raises BusyError while it is being restarted."""
    if state.status is Status.RESTARTING:
        raise BusyError("The instance is being restarted; try again when that is over.")
    return replace(resumed(state), status=Status.PAUSED)


def _set_state(
    customer_id: str, transition: Callable[[State], State], noted: dict[str, Any], now: datetime
) -> Instance:
    return retry_while_busy(lambda: _state_set(customer_id, transition, noted, now))


@transaction.atomic
def _state_set(
    customer_id: str, transition: Callable[[State], State], noted: dict[str, Any], now: datetime
) -> Instance:
    """`noted` are columns of the instance; what is noted of a pause under way is not overwritten."""
    instance = lookup.instance(customer_id)

    def unless_taken(state: State) -> State:
        if Operation.objects.filter(customer_id=customer_id, finished_at=None).exists():
            raise BusyError(who_holds(customer_id))
        return transition(state)

    change(instance.pk, now, unless_taken)
    rows = Instance.objects.filter(pk=instance.pk)
    if noted["paused_at"] is not None:
        let_go(instance, now)
        rows = rows.filter(paused_at=None)  # as it is by now, with the health locked
    rows.update(**noted)
    instance.refresh_from_db(fields=list(noted))
    instance.health = Health.objects.get(pk=instance.pk)
    return instance
