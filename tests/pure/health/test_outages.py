"""When an outage began, which attempts count as failed, and which state calls for another one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from instances.health import restarts
from instances.health.assess import assess
from instances.health.state import Observation, Policy, State, Status
from tests.pure.moments import HEALTHY, at, down, ended, fail, seconds

POLICY = Policy()
UNHEALTHY = down(Status.UNHEALTHY, 3)


def test_attempts_that_helped_are_none_that_failed() -> None:
    """Whoever kills it does so again whenever it is well: it is restarted each time, and never given up."""
    state, now, waits = HEALTHY, 0.0, []
    for _ in range(6):
        killed = now
        verdict = assess(fail(now, "exited"), state, POLICY, at(now))
        while not verdict.restart:
            now = seconds(verdict.state.next_check_at) or 0
            verdict = assess(fail(now, "exited"), verdict.state, POLICY, at(now))
        waits.append(now - killed)
        assert restarts.may_restart(verdict.state, POLICY, at(now))
        begun = restarts.restart_begun(verdict.state, at(now), automatic=True)
        state = restarts.restart_passed(begun, POLICY, at(now + 2), automatic=True)
        now += 100
    assert waits == [0, 20, 40, 40, 40, 40]
    assert (state.status, state.restarts_used, state.restarts_failed) == (Status.HEALTHY, 6, 0)


def test_failed_attempts_count_beside_those_that_helped() -> None:
    state = replace(UNHEALTHY, restarts_used=4, restarts_helped=2)
    begun = restarts.restart_begun(state, at(0), automatic=True)
    assert restarts.restart_failed(begun, POLICY, at(66), at(1)).status is Status.FAILED


SLOW = replace(down(Status.FAILED, 6, used=3), restart_not_before=at(0))
CALLED_FOR = {
    "an unhealthy one": (UNHEALTHY, True),
    "an unhealthy one whose attempts are used up": (down(Status.UNHEALTHY, 3, used=3), False),
    "a failed one whose slow attempt is due": (SLOW, True),
    "one whose slow attempt is not due": (replace(SLOW, restart_not_before=at(1)), False),
    "one that has passed a check since": (replace(SLOW, failures=0, successes=1), False),
    "a failed one that can't be made anew": (down(Status.FAILED, 1), False),
    "one that was never once healthy": (replace(UNHEALTHY, last_healthy_at=None), False),
    "a suspect": (down(Status.SUSPECT, 2), False),
    "one that is restarted already": (down(Status.RESTARTING, 3, used=1), False),
}


@pytest.mark.parametrize(("state", "called_for"), CALLED_FOR.values(), ids=CALLED_FOR.keys())
def test_an_automatic_restart_is_made_for(state: State, called_for: bool) -> None:
    assert restarts.may_restart(state, POLICY, at(0)) is called_for


BEGINNINGS = {
    "an answer that fails: the moment it was seen": (fail(0, "http_503"), 0),
    "a container that ended: that moment": (ended(-58), -58),
    "one that was killed for its memory": (ended(-58, reason="oom_killed"), -58),
    "before the last good look, by a clock that is late": (ended(-1000), -900),
    "in the future, by a clock that is early": (ended(5), 0),
    "the end of an earlier run of a container that runs": (ended(-58, reason="refused"), 0),
    "one that is gone": (fail(0, "missing"), 0),
}


@pytest.mark.parametrize(("observation", "since"), BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_an_outage_begins_with(observation: Observation, since: float) -> None:
    state = assess(observation, HEALTHY, POLICY, at(0)).state
    assert (seconds(state.down_since), state.noticed_at) == (since, at(0))
    assert restarts.restart_passed(state, POLICY, at(9)).noticed_at is None


def test_whether_an_outage_is_the_one_before_is_told_by_its_beginning() -> None:
    back = replace(HEALTHY, recovered_at=at(-1100), last_healthy_at=at(-1000), restarts_used=2)
    assert assess(ended(-600), back, POLICY, at(0)).state.flaps == 1
    assert assess(ended(-400), back, POLICY, at(0)).state.flaps == 0
