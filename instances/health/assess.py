"""Is this instance healthy, and what follows from it: pure decisions, no database, no clock of its own."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from instances.health.outages import one_more_failure, recheck_at, recovered, restart_due, used_up
from instances.health.response import ENGINE_REFUSED, Outcome, sentence
from instances.health.state import (
    CANNOT_REMAKE,
    ENDED,
    HARD_REASONS,
    NOT_OURS,
    Observation,
    Policy,
    State,
    Status,
    Verdict,
    is_healed,
)
from instances.lib.clock import known


def is_stale(seen: Observation, state: State, now: datetime | None = None) -> bool:
    """Whether a newer check was already applied.

    A probe that began before the last applied one ended saw the same moment; counting both would
    count one failure twice. A check that is said to have ended after `now` is unknown, not newer.
    """
    checked_at = state.checked_at if now is None else known(state.checked_at, now)
    return checked_at is not None and seen.started_at < checked_at


def with_the_last(seen: Observation, reason: str) -> Observation:
    """The observation in the light of the last one's reason.

    An engine that once does not say how a container is may be in trouble itself. One that refuses twice
    in a row, and answers otherwise, tells of that container: else nobody would ever hear of it.
    """
    if seen.reason == reason == ENGINE_REFUSED:
        return replace(seen, outcome=Outcome.FAIL)
    return seen


def assess(seen: Observation, state: State, policy: Policy, now: datetime, jitter: float = 0.0) -> Verdict:
    """Judge one observation.

    `jitter` is drawn by the caller from -1..1 and spreads waits by `policy.spread`.
    """
    if seen.outcome is Outcome.OK:
        return Verdict(_passed(seen, state, policy, now, jitter))
    state = replace(state, checked_at=seen.finished_at)
    if seen.outcome is Outcome.UNKNOWN:
        return Verdict(replace(state, status=Status.UNKNOWN, next_check_at=recheck_at(policy, now, jitter)))
    since = _starting_since(seen, state, now)
    if since is not None:
        state = replace(state, starting_since=since)
        if now < since + timedelta(seconds=policy.start_grace):
            return Verdict(_starting(state, policy, now, jitter))
    if seen.outcome is Outcome.STARTING:
        late = "start_timeout"
        seen = replace(seen, outcome=Outcome.FAIL, reason=late, error=sentence(late))
    return replace(_failed(seen, state, policy, now, jitter), seen=seen)


def _passed(seen: Observation, state: State, policy: Policy, now: datetime, jitter: float) -> State:
    if state.down_since is None:
        status, next_check_at = Status.HEALTHY, None
    else:
        status = Status.FAILED if _given_up(state, policy) else Status.SUSPECT
        next_check_at = recheck_at(policy, now, jitter)
    passed = replace(
        state,
        status=status,
        failures=0,
        successes=state.successes + 1,
        starting_since=None,
        next_check_at=next_check_at,
        checked_at=seen.finished_at,
        last_healthy_at=now,
    )
    is_over = state.down_since is not None and passed.successes >= policy.success_threshold
    return recovered(passed, now) if is_over else passed


def _starting_since(seen: Observation, state: State, now: datetime) -> datetime | None:
    """When the container's present start began, or None when it has no grace left to claim.

    A container that has answered well since it started is no longer starting, and one that the
    engine restarts over and over never is.
    """
    if seen.reason in HARD_REASONS:
        return None
    started = seen.container_started_at
    if started is not None and started > now:  # the host's clock runs ahead: its word can't be used
        started = state.starting_since or now
    if started is not None and state.last_healthy_at is not None and state.last_healthy_at >= started:
        return (state.starting_since or now) if seen.outcome is Outcome.STARTING else None
    if seen.outcome is Outcome.STARTING:
        # Whoever lost sight of it, as with its host, may see another start than the one known.
        is_unsure = started is None and state.status is Status.UNKNOWN
        return max(filter(None, (None if is_unsure else state.starting_since, started)), default=now)
    return started or state.starting_since


def _starting(state: State, policy: Policy, now: datetime, jitter: float) -> State:
    soon = replace(policy, recheck_interval=min(policy.recheck_interval, 5.0))
    status = Status.FAILED if state.status is Status.FAILED else Status.STARTING
    return replace(state, status=status, successes=0, next_check_at=recheck_at(soon, now, jitter))


def _failed(seen: Observation, state: State, policy: Policy, now: datetime, jitter: float) -> Verdict:
    ended = seen.container_ended_at if seen.reason in ENDED else None
    state = one_more_failure(state, policy, now, jitter, ended)
    if seen.reason in CANNOT_REMAKE:
        # Once it is found to be there again, people have acted, and nothing is to be waited for.
        return Verdict(replace(state, status=Status.FAILED, next_check_at=None, restart_not_before=None))
    certain = seen.reason in HARD_REASONS or state.failures >= policy.failure_threshold
    if not certain and state.status is not Status.UNHEALTHY and not _given_up(state, policy):
        recheck = recheck_at(policy, now, jitter)
        return Verdict(replace(state, status=Status.SUSPECT, next_check_at=recheck))
    if seen.reason in NOT_OURS:
        return Verdict(replace(state, status=Status.FAILED, next_check_at=None))
    if not is_healed(state):
        return Verdict(replace(state, status=Status.UNHEALTHY, next_check_at=None))
    if not used_up(state, policy):
        due = state.restart_not_before
        is_given_up = state.status is Status.FAILED and due is not None and now < due
        status = Status.FAILED if is_given_up else Status.UNHEALTHY
        return _when_due(replace(state, status=status), due, policy, now, jitter)
    due = state.restart_not_before or restart_due(state, policy, now, jitter)
    if due is None:
        return Verdict(replace(state, status=Status.FAILED, next_check_at=None))
    return _when_due(replace(state, status=Status.FAILED, restart_not_before=due), due, policy, now, jitter)


def _when_due(state: State, due: datetime | None, policy: Policy, now: datetime, jitter: float) -> Verdict:
    restart = due is None or due <= now
    # The check after a verdict of restart is the safety net for a restart order that gets lost.
    return Verdict(replace(state, next_check_at=recheck_at(policy, now, jitter) if restart else due), restart)


def _given_up(state: State, policy: Policy) -> bool:
    """Whether dockmgr had given the instance up, also when it lost sight of it since."""
    lost_sight = state.status is Status.UNKNOWN and state.down_since is not None
    return state.status is Status.FAILED or (lost_sight and used_up(state, policy))
