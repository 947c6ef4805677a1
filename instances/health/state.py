"""Is this instance healthy, and what follows from it: pure decisions, no database, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from instances.health.response import Outcome, sentence
from instances.lib.clock import known

CANNOT_REMAKE = frozenset({"data_missing", "image_missing"})  # a restart can't help before people act
NOT_OURS = frozenset({"replaced"})  # about a container that dockmgr may not restart
HARD_REASONS = frozenset({"exited", "oom_killed", "missing", "crash_loop"}) | CANNOT_REMAKE
ENDED = frozenset({"exited", "oom_killed"})  # the container itself says when that was
DIED = ENDED | {"crash_loop"}  # the program ended by itself, and what it wrote may say why
CRASH_LOOP_RESTARTS = 3
NEVER_HEALTHY = "It was never seen healthy, so dockmgr does not restart it by itself before it was."


class Status(StrEnum):
    UNKNOWN = "unknown"
    STARTING = "starting"
    HEALTHY = "healthy"
    SUSPECT = "suspect"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    FAILED = "failed"
    PAUSED = "paused"


@dataclass(frozen=True)
class Policy:
    """The numbers of the state machine; all durations in seconds."""

    failure_threshold: int = 3
    success_threshold: int = 2
    recheck_interval: float = 30.0
    restart_limit: int = 3
    restart_backoff: float = 20.0
    slow_retry: float = 900.0
    slow_retry_every: float = 3600.0
    start_grace: float = 60.0
    reopen_within: float = 600.0
    flaps_allowed: int = 3
    flap_window: float = 3600.0
    flapping_clean: float = 900.0
    spread: float = 0.2  # waits vary by this part of themselves, so that a fleet does not act in step


@dataclass(frozen=True)
class Observation:
    """What one probe saw of one container. Facts of the container are set when the engine was asked.

    `finding` is what is odd about the container's identity, empty for nothing; None when nobody looked.
    """

    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    reason: str = ""
    error: str = ""
    http_status: int | None = None
    latency_ms: int | None = None
    version: str | None = None
    container_id: str = ""
    container_state: str | None = None
    container_started_at: datetime | None = None
    container_ended_at: datetime | None = None
    finding: str | None = None
    finding_text: str = ""


@dataclass(frozen=True)
class State:
    """What dockmgr remembers of an instance's health between checks.

    `down_since` is set by the first failure, seen at `noticed_at`, to the moment the container ended
    where that is known; `success_threshold` successes in a row clear both. `restarts_used` counts
    automatic attempts of the present incident, of which `restarts_helped` passed their check.
    `restart_not_before` holds the next attempt back. `next_check_at` asks for a check outside the
    sweep. `flaps` counts how often it failed again soon after a recovery, in the window that began
    with `flaps_since`.
    """

    status: Status = Status.UNKNOWN
    failures: int = 0
    successes: int = 0
    restarts_used: int = 0
    restarts_helped: int = 0
    down_since: datetime | None = None
    noticed_at: datetime | None = None
    recovered_at: datetime | None = None
    flaps: int = 0
    flaps_since: datetime | None = None
    starting_since: datetime | None = None
    restart_not_before: datetime | None = None
    next_check_at: datetime | None = None
    checked_at: datetime | None = None
    last_healthy_at: datetime | None = None
    last_restart_at: datetime | None = None

    @property
    def restarts_failed(self) -> int:
        """Automatic attempts that did not help, the one under way included."""
        return max(0, self.restarts_used - self.restarts_helped)


@dataclass(frozen=True)
class Verdict:
    """The state after a check, whether it calls for a restart now, and the observation as judged."""

    state: State
    restart: bool = False
    seen: Observation | None = None


def is_healed(state: State) -> bool:
    """Whether dockmgr restarts it by itself: never what was not once seen healthy.

    It may be asked at the wrong place, and a restart would do harm to what is well.
    """
    return state.last_healthy_at is not None


def is_stale(seen: Observation, state: State, now: datetime | None = None) -> bool:
    """Whether a newer check was already applied.

    A probe that began before the last applied one ended saw the same moment; counting both would
    count one failure twice. A check that is said to have ended after `now` is unknown, not newer.
    """
    checked_at = state.checked_at if now is None else known(state.checked_at, now)
    return checked_at is not None and seen.started_at < checked_at


def assess(seen: Observation, state: State, policy: Policy, now: datetime, jitter: float = 0.0) -> Verdict:
    """Judge one observation.

    `jitter` is drawn by the caller from -1..1 and spreads waits by `policy.spread`.
    """
    state = replace(state, checked_at=seen.finished_at)
    if seen.outcome is Outcome.UNKNOWN:
        return Verdict(replace(state, status=Status.UNKNOWN, next_check_at=recheck_at(policy, now, jitter)))
    if seen.outcome is Outcome.OK:
        return Verdict(_passed(state, policy, now, jitter))
    since = _starting_since(seen, state, now)
    if since is not None:
        state = replace(state, starting_since=since)
        if now < since + timedelta(seconds=policy.start_grace):
            return Verdict(_starting(state, policy, now, jitter))
    if seen.outcome is Outcome.STARTING:
        late = "start_timeout"
        seen = replace(seen, outcome=Outcome.FAIL, reason=late, error=sentence(late))
    return replace(_failed(seen, state, policy, now, jitter), seen=seen)


def _passed(state: State, policy: Policy, now: datetime, jitter: float) -> State:
    state = replace(
        state, failures=0, successes=state.successes + 1, starting_since=None, last_healthy_at=now
    )
    if state.down_since is None:
        return replace(state, status=Status.HEALTHY, next_check_at=None)
    if state.successes >= policy.success_threshold:
        return recovered(state, now)
    status = Status.FAILED if _given_up(state, policy) else Status.SUSPECT
    return replace(state, status=status, next_check_at=recheck_at(policy, now, jitter))


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
    if seen.outcome is Outcome.STARTING:
        return max(filter(None, (state.starting_since, started)), default=now)
    if started is not None and state.last_healthy_at is not None and state.last_healthy_at >= started:
        return None
    return started or state.starting_since


def _starting(state: State, policy: Policy, now: datetime, jitter: float) -> State:
    soon = replace(policy, recheck_interval=min(policy.recheck_interval, 5.0))
    status = Status.FAILED if state.status is Status.FAILED else Status.STARTING
    return replace(state, status=status, successes=0, next_check_at=recheck_at(soon, now, jitter))


def _failed(seen: Observation, state: State, policy: Policy, now: datetime, jitter: float) -> Verdict:
    ended = seen.container_ended_at if seen.reason in ENDED else None
    state = one_more_failure(state, policy, now, jitter, ended)
    if seen.reason in CANNOT_REMAKE:
        return Verdict(replace(state, status=Status.FAILED, next_check_at=None))
    certain = seen.reason in HARD_REASONS or state.failures >= policy.failure_threshold
    if not certain and state.status is not Status.UNHEALTHY and not _given_up(state, policy):
        recheck = recheck_at(policy, now, jitter)
        return Verdict(replace(state, status=Status.SUSPECT, next_check_at=recheck))
    if seen.reason in NOT_OURS:
        return Verdict(replace(state, status=Status.FAILED, next_check_at=None))
    if not is_healed(state):
        return Verdict(replace(state, status=Status.UNHEALTHY, next_check_at=None))
    if not used_up(state, policy):
        return _when_due(
            replace(state, status=Status.UNHEALTHY), state.restart_not_before, policy, now, jitter
        )
    due = state.restart_not_before or restart_due(state, policy, now, jitter)
    if due is None:
        return Verdict(replace(state, status=Status.FAILED, next_check_at=None))
    return _when_due(replace(state, status=Status.FAILED, restart_not_before=due), due, policy, now, jitter)


def _when_due(state: State, due: datetime | None, policy: Policy, now: datetime, jitter: float) -> Verdict:
    restart = due is None or due <= now
    # The check after a verdict of restart is the safety net for a restart order that gets lost.
    return Verdict(replace(state, next_check_at=recheck_at(policy, now, jitter) if restart else due), restart)


def used_up(state: State, policy: Policy) -> bool:
    """Whether all attempts of the incident were made in vain: what is left is to try slowly."""
    return state.restarts_failed >= policy.restart_limit


def _given_up(state: State, policy: Policy) -> bool:
    """Whether dockmgr had given the instance up, also when it lost sight of it since."""
    lost_sight = state.status is Status.UNKNOWN and state.down_since is not None
    return state.status is Status.FAILED or (lost_sight and used_up(state, policy))


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


def restart_due(state: State, policy: Policy, now: datetime, jitter: float) -> datetime | None:
    """When the next automatic attempt may be made; None where there are none at all.

    Waits before attempts 1, 2 and 3 are none, one and two times `restart_backoff`, and do not grow while
    attempts help. When as many as there may be were in vain, there is a slow one, then one every so often.
    """
    if not policy.restart_limit:
        return None
    if not used_up(state, policy):
        wait = policy.restart_backoff * min(state.restarts_used, policy.restart_limit - 1)
    else:
        is_first = state.restarts_failed == policy.restart_limit
        wait = policy.slow_retry if is_first else policy.slow_retry_every
    return now + timedelta(seconds=wait * (1 + policy.spread * jitter))


def recheck_at(policy: Policy, now: datetime, jitter: float) -> datetime:
    """When to look again outside the sweep."""
    return now + timedelta(seconds=policy.recheck_interval * (1 + policy.spread * jitter))
