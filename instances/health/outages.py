"""How long an outage lasts and when the next restart of it may be tried: pure decisions."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from instances.health.state import Policy, State, Status


def one_more_failure(
    state: State, policy: Policy, now: datetime, jitter: float, ended: datetime | None = None
) -> State:
    """A failure counts; the first one of an outage begins it, when the container `ended` if that is known."""
    if state.down_since is None:
        since = _down_since(state, ended, now)
        state = _outage_begun(replace(state, noticed_at=now), policy, since, now, jitter)
    return replace(state, failures=state.failures + 1, successes=0)


def _down_since(state: State, ended: datetime | None, now: datetime) -> datetime:
    """The moment the container ended, but not before the last good look, nor by a clock that runs ahead."""
    if ended is None or ended > now:
        return now
    return min(now, max(ended, state.last_healthy_at or ended))


def _outage_begun(state: State, policy: Policy, since: datetime, now: datetime, jitter: float) -> State:
    """Failing again soon after a recovery goes on with the budget and the waits of before."""
    state = replace(state, down_since=since)
    if not _is_reopened(state, policy, since):
        return replace(state, restarts_used=0, restarts_helped=0, flaps=0, flaps_since=None)
    state = _one_more_flap(state, policy, now)
    return replace(state, restart_not_before=restart_due(state, policy, now, jitter))


def _is_reopened(state: State, policy: Policy, since: datetime) -> bool:
    """Whether an outage belongs to the one before; one that flaps takes longer to be over."""
    window = policy.flapping_clean if is_flapping(state, policy) else policy.reopen_within
    return state.recovered_at is not None and since - state.recovered_at <= timedelta(seconds=window)


def is_flapping(state: State, policy: Policy) -> bool:
    """It came back and failed again so often that a recovery means little."""
    return state.flaps >= policy.flaps_allowed


def _one_more_flap(state: State, policy: Policy, now: datetime) -> State:
    """Flapping ends only by staying clean; until it began, flaps count within their window."""
    since = state.flaps_since
    stale = since is None or now - since > timedelta(seconds=policy.flap_window)
    if stale and not is_flapping(state, policy):
        return replace(state, flaps=1, flaps_since=now)
    return replace(state, flaps=state.flaps + 1)


def recovered(state: State, now: datetime) -> State:
    """The outage is over."""
    return replace(
        state,
        status=Status.HEALTHY,
        down_since=None,
        noticed_at=None,
        recovered_at=now,
        restart_not_before=None,
        next_check_at=None,
    )


def used_up(state: State, policy: Policy) -> bool:
    """Whether all attempts of the incident were made in vain: what is left is to try slowly."""
    return state.restarts_failed >= policy.restart_limit


def restart_due(state: State, policy: Policy, now: datetime, jitter: float) -> datetime | None:
    """When the next automatic attempt may be made; None where there are none at all.

    Waits before attempts 1, 2 and 3 are none, one and two times `restart_backoff`, and do not grow while
    attempts help. When as many as there may be were in vain, there is a slow one, then one every so often.
    """
    if not policy.restart_limit:
        return None
    if not used_up(state, policy):
        wait = policy.restart_backoff * min(state.restarts_used, policy.restart_limit - 1)
    elif state.restarts_failed == policy.restart_limit:
        return slow_retry_at(policy, now, jitter)
    else:
        wait = policy.slow_retry_every
    return now + timedelta(seconds=wait * (1 + policy.spread * jitter))


def slow_retry_at(policy: Policy, now: datetime, jitter: float) -> datetime | None:
    """When what was given up just now is tried again; None where there are no automatic attempts."""
    wait = policy.slow_retry * (1 + policy.spread * jitter)
    return now + timedelta(seconds=wait) if policy.restart_limit else None


def recheck_at(policy: Policy, now: datetime, jitter: float) -> datetime:
    """When to look again outside the sweep."""
    return now + timedelta(seconds=policy.recheck_interval * (1 + policy.spread * jitter))
