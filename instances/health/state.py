"""What the state machine of health works on: its states, its numbers, what a check saw and what follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from instances.health.response import Outcome

CANNOT_REMAKE = frozenset({"data_missing", "image_missing"})  # a restart can't help before people act
NOT_OURS = frozenset({"replaced"})  # about a container that dockmgr may not restart
HARD_REASONS = frozenset({"exited", "oom_killed", "missing", "crash_loop"}) | CANNOT_REMAKE
ENDED = frozenset({"exited", "oom_killed"})  # the container itself says when that was
DIED = ENDED | {"crash_loop"}  # the program ended by itself, and what it wrote may say why
CRASH_LOOP_RESTARTS = 3
USUAL_LONGEST, EVER_LONGEST = 75 * 60.0, 20 * 365 * 86400.0  # seconds of waiting
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


class Policy(Struct, frozen=True):
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

    @property
    def longest_wait(self) -> timedelta:
        """Nothing is put off for longer: what seems to be was written by a clock that ran fast."""
        backoff = self.restart_backoff * max(0, self.restart_limit - 1)
        longest = max(self.recheck_interval, backoff, self.slow_retry, self.slow_retry_every)
        return timedelta(seconds=min(max(longest * (1 + self.spread), USUAL_LONGEST), EVER_LONGEST))


class Observation(Struct, frozen=True):
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


class State(Struct, frozen=True):
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


class Verdict(Struct, frozen=True):
    """The state after a check, whether it calls for a restart now, and the observation as judged."""

    state: State
    restart: bool = False
    seen: Observation | None = None


def is_healed(state: State) -> bool:
    """Whether dockmgr restarts it by itself: never what was not once seen healthy.

    It may be asked at the wrong place, and a restart would do harm to what is well.
    """
    return state.last_healthy_at is not None
