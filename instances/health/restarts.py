"""What a restart, and a pause, make of an instance's health: pure decisions."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from instances.health.outages import (
    one_more_failure,
    recheck_at,
    recovered,
    restart_due,
    slow_retry_at,
    used_up,
)
from instances.health.state import Policy, State, Status, is_healed

TROUBLE_WAIT = 300.0  # seconds


def may_restart(state: State, policy: Policy, now: datetime) -> bool:
    """Whether what was found last calls for an automatic restart now."""
    if not is_healed(state):
        return False
    if state.status is Status.UNHEALTHY:
        return not used_up(state, policy)
    due = state.restart_not_before
    is_slow = state.status is Status.FAILED and policy.restart_limit > 0 and used_up(state, policy)
    return is_slow and state.failures > 0 and due is not None and due <= now


def restart_begun(state: State, now: datetime, *, automatic: bool) -> State:
    """A restart takes the instance; an automatic one uses up an attempt before it acts."""
    if state.status is Status.PAUSED:
        return replace(state, last_restart_at=now)
    return replace(
        state,
        status=Status.RESTARTING,
        restarts_used=state.restarts_used + (1 if automatic else 0),
        last_restart_at=now,
        next_check_at=None,
    )


def restart_passed(state: State, policy: Policy, now: datetime, *, automatic: bool = False) -> State:
    """The restarted container passed its gate: `success_threshold` checks in a row.

    An `automatic` attempt that did is none that failed, should the instance fail again.
    """
    state = replace(
        state,
        failures=0,
        successes=policy.success_threshold,
        restarts_helped=state.restarts_helped + (1 if automatic else 0),
        starting_since=None,
        last_healthy_at=now,
        checked_at=now,
    )
    recovered_at = now if state.down_since is not None else state.recovered_at
    return _still_paused(state, replace(recovered(state, now), recovered_at=recovered_at))


def restart_failed(
    state: State, policy: Policy, now: datetime, started_at: datetime | None, jitter: float = 0.0
) -> State:
    """The gate was not passed in time: one failure more, then a longer wait or giving up."""
    if state.status is Status.PAUSED:
        return state
    state = one_more_failure(state, policy, now, jitter)
    state = replace(state, starting_since=started_at or state.starting_since, checked_at=now)
    status = Status.FAILED if used_up(state, policy) else Status.UNHEALTHY
    due = restart_due(state, policy, now, jitter)
    return replace(state, status=status, restart_not_before=due, next_check_at=due)


def restart_prevented(
    state: State, policy: Policy, now: datetime, *, refund: bool, lasts: bool = False
) -> State:
    """The host did not let the restart happen: that says nothing of the instance and costs no attempt.

    What `lasts` although the engine answers would prevent the next one as well: that one waits for a while.
    """
    if state.status is Status.PAUSED:
        return state
    used = max(0, state.restarts_used - 1) if refund else state.restarts_used
    again = now + timedelta(seconds=TROUBLE_WAIT) if lasts else None
    return replace(
        state,
        status=Status.UNKNOWN,
        restarts_used=used,
        checked_at=now,
        restart_not_before=again or state.restart_not_before,
        next_check_at=again or recheck_at(policy, now, 0.0),
    )


def restart_withdrawn(
    state: State, before: Status, last_restart_at: datetime | None, now: datetime, *, automatic: bool
) -> State:
    """dockmgr itself kept the restart from being made: as if it had not been asked for, and looked at soon.

    `before` and `last_restart_at` are from before it was. An automatic one costs no attempt, and is not
    tried again for a while, as its cause may be there for long.
    """
    if state.status is Status.PAUSED:
        return replace(state, last_restart_at=last_restart_at)
    state = replace(
        state,
        status=before if state.status is Status.RESTARTING else state.status,
        last_restart_at=last_restart_at,
        next_check_at=now,
    )
    if not automatic:
        return state
    again = now + timedelta(seconds=TROUBLE_WAIT)
    used = max(0, state.restarts_used - 1)
    return replace(state, restarts_used=used, restart_not_before=again, next_check_at=again)


def look_soon(state: State, now: datetime) -> State:
    """What was done says nothing of the instance: the next check tells how it is."""
    return state if state.status is Status.PAUSED else replace(state, next_check_at=now)


def remake_refused(
    state: State, policy: Policy, now: datetime, *, refund: bool, jitter: float = 0.0
) -> State:
    """The container could not be made anew as it was: that costs no attempt, and waits for people.

    Whether they have put right what was missing is tried as seldom as what was given up.
    """
    if state.status is Status.PAUSED:
        return state
    used = max(0, state.restarts_used - 1) if refund else state.restarts_used
    state = replace(one_more_failure(state, policy, now, jitter), restarts_used=used, checked_at=now)
    due = slow_retry_at(policy, now, jitter)
    return replace(state, status=Status.FAILED, restart_not_before=due, next_check_at=due)


def restart_denied(state: State, now: datetime, seconds: float) -> State:
    """The host has enough restarts under way: ask again soon, with a check first."""
    return replace(state, next_check_at=now + timedelta(seconds=seconds))


def resumed(state: State) -> State:
    """An instance taken out of pause starts with a clean sheet."""
    return State(last_healthy_at=state.last_healthy_at, last_restart_at=state.last_restart_at)


def _still_paused(before: State, after: State) -> State:
    """A restart by hand does not end a pause."""
    return replace(after, status=Status.PAUSED) if before.status is Status.PAUSED else after
