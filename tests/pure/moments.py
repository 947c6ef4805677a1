"""Moments, states and observations for the tests of the health rules, in seconds since a fixed start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from instances.health.response import Outcome
from instances.health.state import Observation, State, Status

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = -100_000.0
FLAPPED = -100.0  # a recovery recent enough to reopen what it ended


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - START).total_seconds()


def seen(
    outcome: Outcome, second: float = 0, reason: str = "", *, started: float | None = LONG_AGO
) -> Observation:
    """A probe that began and ended at `second`, of a container that was started at `started`."""
    return Observation(
        outcome=outcome,
        reason=reason,
        started_at=at(second),
        finished_at=at(second),
        container_started_at=None if started is None else at(started),
    )


def ok(second: float = 0) -> Observation:
    return seen(Outcome.OK, second, started=None)


def fail(second: float = 0, reason: str = "refused", *, started: float | None = LONG_AGO) -> Observation:
    return seen(Outcome.FAIL, second, reason, started=started)


def ended(moment: float, second: float = 0, reason: str = "exited") -> Observation:
    """Seen at `second`, a container that ended at `moment`."""
    return replace(fail(second, reason), container_ended_at=at(moment))


def starting(second: float = 0, *, started: float | None = None) -> Observation:
    return seen(Outcome.STARTING, second, started=started)


def unknown(second: float = 0) -> Observation:
    return seen(Outcome.UNKNOWN, second, "engine", started=None)


HEALTHY = State(Status.HEALTHY, successes=5, last_healthy_at=at(-900), checked_at=at(-900))


def down(status: Status, failures: int, *, used: int = 0, successes: int = 0) -> State:
    """An outage under way since second -60 in a container that was well before."""
    return State(
        status=status,
        failures=failures,
        successes=successes,
        restarts_used=used,
        down_since=at(-60),
        last_healthy_at=at(-900),
        checked_at=at(-30),
    )
