"""How operations change an instance's health: the pure transitions, applied under compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction

from instances.checks.last_seen import ERROR_LENGTH, SEEN_FIELDS, history_row, seen_values
from instances.checks.observe import Check
from instances.checks.policy import policy
from instances.checks.record import MAX_CAS_ROUNDS
from instances.checks.swap import compare_and_swap
from instances.errors import BusyError, RequestError
from instances.health.state import State
from instances.health.trusted import trusted
from instances.incidents.from_health import HealthChange, apply_health_changes
from instances.models import Health
from instances.models.health import STATE_FIELDS


@transaction.atomic
def change(
    instance_id: int,
    now: datetime,
    transition: Callable[[State], State],
    check: Check | None = None,
    why: tuple[str, str] = ("", ""),
    *,
    withdrawn: bool = False,
) -> State:
    """Replace the stored state by `transition(state)`; with a check, record what it saw as well.

    `why`, as a code and as a sentence, takes the place of what was seen last. `withdrawn` says that a
    restart that was begun was none.

    What follows for the instance's incident is written with it, or nothing is. Whatever the change
    depends on belongs into `transition`: it judges the state that is replaced, once more whenever
    somebody else was quicker, and may raise to leave everything as it is. Raises BusyError if the row
    is changed by others all the time, RequestError if it is gone.
    """
    for _ in range(MAX_CAS_ROUNDS):
        health = Health.objects.filter(pk=instance_id).first()
        if health is None:
            raise RequestError("The instance was removed meanwhile.")
        state = transition(trusted(health.state(), now, policy().longest_wait))
        judged = [getattr(state, name) for name in STATE_FIELDS]
        row = (instance_id, health.revision, *judged, *_seen(health, check, why))
        if compare_and_swap([row]):
            if check:
                history_row(check, state).save()
            change_made = HealthChange(instance_id, health.state(), state, *why, withdrawn=withdrawn)
            apply_health_changes([change_made], policy(), now)
            return state
    raise BusyError("The instance's health is being written all the time; try again.")


def _seen(health: Health, check: Check | None, why: tuple[str, str]) -> list[Any]:
    """What the check saw, or else what is stored, with the reason and sentence of `why` where it has any."""
    if check:
        seen = seen_values(health.pk, check.seen, health.version)
    else:
        seen = [getattr(health, name) for name in SEEN_FIELDS]
    return [*seen[:-2], why[0], why[1][:ERROR_LENGTH]] if any(why) else seen
