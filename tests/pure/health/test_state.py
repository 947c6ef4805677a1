"""What follows from one look at an instance: every arrow of the state machine, and what moves no arrow."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from instances.health.assess import assess, is_stale
from instances.health.state import (
    CRASH_LOOP_RESTARTS,
    HARD_REASONS,
    Observation,
    Policy,
    State,
    Status,
    Verdict,
)
from tests.pure.moments import FLAPPED, HEALTHY, LONG_AGO, at, down, fail, ok, seconds, starting, unknown

POLICY = Policy()
FAILED = down(Status.FAILED, 6, used=3)
NEW = State()
WELL_ONCE = State(last_healthy_at=at(LONG_AGO))
NEVER = replace(down(Status.UNHEALTHY, 3), last_healthy_at=None)
SOFT_REASONS = ("refused", "timeout", "tls", "dns", "http_503", "body_not_ok", "bad_json", "too_large")


def judged(observation: Observation, state: State, policy: Policy = POLICY) -> Verdict:
    return assess(observation, state, policy, observation.finished_at)


# name: (state, what is seen, status after it, whether a restart is called for)
ARROWS = {
    "unknown, ok": (NEW, ok(), Status.HEALTHY, False),
    "unknown, fail": (NEW, fail(), Status.SUSPECT, False),
    "unknown, starting": (NEW, starting(), Status.STARTING, False),
    "unknown, unknown": (NEW, unknown(), Status.UNKNOWN, False),
    "starting, ok": (State(Status.STARTING, starting_since=at(-9)), ok(), Status.HEALTHY, False),
    "starting, starting": (State(Status.STARTING, starting_since=at(-9)), starting(), Status.STARTING, False),
    "starting, lost from sight, starts again": (
        State(Status.UNKNOWN, starting_since=at(-9000)),
        starting(),
        Status.STARTING,
        False,
    ),
    "starting, late": (State(Status.STARTING, starting_since=at(-60)), starting(), Status.SUSPECT, False),
    "healthy, ok": (HEALTHY, ok(), Status.HEALTHY, False),
    "healthy, fail": (HEALTHY, fail(), Status.SUSPECT, False),
    "healthy, unknown": (HEALTHY, unknown(), Status.UNKNOWN, False),
    "suspect, second failure": (down(Status.SUSPECT, 1), fail(), Status.SUSPECT, False),
    "suspect, third failure": (down(Status.SUSPECT, 2), fail(), Status.UNHEALTHY, True),
    "suspect, first success": (down(Status.SUSPECT, 2), ok(), Status.SUSPECT, False),
    "suspect, second success": (down(Status.SUSPECT, 0, successes=1), ok(), Status.HEALTHY, False),
    "suspect, unknown": (down(Status.SUSPECT, 2), unknown(), Status.UNKNOWN, False),
    "suspect, unknown, fail": (down(Status.UNKNOWN, 2), fail(), Status.UNHEALTHY, True),
    "unhealthy, fail: the order was lost": (down(Status.UNHEALTHY, 3), fail(), Status.UNHEALTHY, True),
    "unhealthy, second success": (down(Status.UNHEALTHY, 0, successes=1), ok(), Status.HEALTHY, False),
    "unhealthy, used up": (down(Status.UNHEALTHY, 5, used=3), fail(), Status.FAILED, False),
    "suspect, used up": (down(Status.SUSPECT, 2, used=3), fail(), Status.FAILED, False),
    "never healthy, third failure": (NEVER, fail(), Status.UNHEALTHY, False),
    "never healthy, exited": (NEVER, fail(reason="exited"), Status.UNHEALTHY, False),
    "never healthy, data missing": (NEVER, fail(reason="data_missing"), Status.FAILED, False),
    "never healthy, used up": (replace(NEVER, restarts_used=3), fail(), Status.UNHEALTHY, False),
    "never healthy, first success": (NEVER, ok(), Status.SUSPECT, False),
    "failed, fail": (FAILED, fail(), Status.FAILED, False),
    "failed, exited": (FAILED, fail(reason="exited"), Status.FAILED, False),
    "failed, first success": (FAILED, ok(), Status.FAILED, False),
    "failed, second success": (replace(FAILED, failures=0, successes=1), ok(), Status.HEALTHY, False),
    "failed, success, fail": (replace(FAILED, failures=0, successes=1), fail(), Status.FAILED, False),
    "failed, the engine started it again": (FAILED, fail(started=-5), Status.FAILED, False),
    "failed at its first failure, fail": (replace(FAILED, failures=1), fail(), Status.FAILED, False),
    "failed, unknown, fail": (down(Status.UNKNOWN, 6, used=3), fail(), Status.FAILED, False),
}


@pytest.mark.parametrize(("state", "observation", "status", "restart"), ARROWS.values(), ids=ARROWS.keys())
def test_each_arrow_leads_where_the_diagram_says(
    state: State, observation: Observation, status: Status, restart: bool
) -> None:
    verdict = judged(observation, state)
    assert (verdict.state.status, verdict.restart) == (status, restart)


@pytest.mark.parametrize("reason", SOFT_REASONS)
def test_other_failures_are_checked_again_before_anything_is_done(reason: str) -> None:
    verdict = judged(fail(reason=reason), HEALTHY)
    assert (verdict.state.status, verdict.state.failures, verdict.restart) == (Status.SUSPECT, 1, False)
    assert verdict.state.next_check_at == at(30)


@pytest.mark.parametrize("reason", ["exited", "oom_killed", "missing", "crash_loop"])
@pytest.mark.parametrize(
    "state", [WELL_ONCE, HEALTHY, down(Status.SUSPECT, 1)], ids=["new", "healthy", "suspect"]
)
def test_a_container_that_is_gone_skips_the_rechecks(reason: str, state: State) -> None:
    verdict = judged(fail(reason=reason, started=-1), state)
    assert (verdict.state.status, verdict.restart) == (Status.UNHEALTHY, True)
    assert verdict.state.failures == state.failures + 1


def test_the_hard_reasons_are_those_of_a_container_that_does_not_run() -> None:
    assert {"exited", "oom_killed", "missing", "crash_loop", "data_missing", "image_missing"} == HARD_REASONS
    assert CRASH_LOOP_RESTARTS == 3


@pytest.mark.parametrize("failures", [1, 2])
def test_another_failure_never_makes_an_unhealthy_instance_merely_suspect(failures: int) -> None:
    state = down(Status.UNHEALTHY, failures)  # by an exit, or by a restart that failed
    policy = replace(POLICY, failure_threshold=5)
    verdict = judged(fail(), state, policy)
    assert (verdict.state.status, verdict.restart) == (Status.UNHEALTHY, True)


def test_the_threshold_of_failures_is_a_setting() -> None:
    assert judged(fail(), HEALTHY, replace(POLICY, failure_threshold=1)).restart
    assert not judged(fail(), down(Status.SUSPECT, 3), replace(POLICY, failure_threshold=5)).restart


def test_the_threshold_of_successes_is_a_setting() -> None:
    one, three = replace(POLICY, success_threshold=1), replace(POLICY, success_threshold=3)
    assert judged(ok(), down(Status.SUSPECT, 2), one).state.status is Status.HEALTHY
    assert judged(ok(), down(Status.SUSPECT, 0, successes=1), three).state.status is Status.SUSPECT


def test_without_attempts_a_failing_instance_is_watched_but_never_restarted() -> None:
    verdict = judged(fail(), down(Status.SUSPECT, 2), replace(POLICY, restart_limit=0))
    assert (verdict.state.status, verdict.restart) == (Status.FAILED, False)


def test_down_since_is_set_by_the_first_failure_and_kept_by_later_ones() -> None:
    first = judged(fail(10), HEALTHY).state
    second = judged(fail(40), first).state
    hard = judged(fail(70, "exited"), second).state
    assert [seconds(s.down_since) for s in (first, second, hard)] == [10, 10, 10]
    assert [s.failures for s in (first, second, hard)] == [1, 2, 3]


def test_down_since_is_cleared_only_by_two_successes_in_a_row() -> None:
    state = judged(fail(0), HEALTHY).state
    for second, observation in enumerate((ok(1), fail(2), ok(3), starting(4), ok(5)), start=1):
        state = judged(observation, state).state
        assert state.down_since == at(0), f"after step {second}"
    state = judged(ok(6), state).state
    assert (state.down_since, state.recovered_at) == (None, at(6))
    assert (state.status, state.failures, state.next_check_at) == (Status.HEALTHY, 0, None)


def test_a_success_ends_the_streak_of_failures_and_a_failure_that_of_successes() -> None:
    passed = judged(ok(), down(Status.SUSPECT, 2)).state
    assert (passed.failures, passed.successes, passed.last_healthy_at) == (0, 1, at(0))
    failed = judged(fail(1), passed).state
    assert (failed.failures, failed.successes, failed.last_healthy_at) == (1, 0, at(0))


@pytest.mark.parametrize("state", [NEW, HEALTHY, down(Status.SUSPECT, 2), FAILED])
def test_an_unknown_outcome_moves_nothing_but_the_status_and_the_next_check(state: State) -> None:
    after = judged(unknown(), state).state
    expected = replace(state, status=Status.UNKNOWN, checked_at=at(0), next_check_at=at(30))
    assert after == expected


def test_an_unknown_outcome_between_two_successes_does_not_part_them() -> None:
    state = down(Status.SUSPECT, 2)
    for observation in (ok(0), unknown(1), ok(2)):
        state = judged(observation, state).state
    assert state.status is Status.HEALTHY


@pytest.mark.parametrize("reason", SOFT_REASONS)
def test_no_failure_counts_within_the_grace_of_a_start(reason: str) -> None:
    after = judged(fail(59.9, reason, started=0), NEW).state
    assert (after.status, after.failures, after.down_since) == (Status.STARTING, 0, None)


def test_a_refusal_after_the_grace_counts() -> None:
    after = judged(fail(60, started=0), NEW).state
    assert (after.status, after.failures, after.down_since) == (Status.SUSPECT, 1, at(60))


def test_a_container_that_was_healthy_since_its_start_has_no_grace_left() -> None:
    well = replace(HEALTHY, last_healthy_at=at(20))
    after = judged(fail(30, started=0), well).state
    assert (after.status, after.failures) == (Status.SUSPECT, 1)


def test_grace_starts_again_when_the_engine_started_the_container_again() -> None:
    well = replace(HEALTHY, last_healthy_at=at(20))
    after = judged(fail(30, started=25), well).state
    assert (after.status, after.failures, after.starting_since) == (Status.STARTING, 0, at(25))


def test_grace_in_an_outage_keeps_the_failures_counted_so_far() -> None:
    after = judged(fail(0, started=-5), down(Status.SUSPECT, 2)).state
    assert (after.status, after.failures, after.down_since) == (Status.STARTING, 2, at(-60))
    assert judged(fail(60, started=-5), after).restart


def test_a_crash_loop_has_no_grace() -> None:
    verdict = judged(fail(5, "crash_loop", started=0), WELL_ONCE)
    assert (verdict.state.status, verdict.restart) == (Status.UNHEALTHY, True)


def test_an_instance_that_says_starting_has_a_deadline() -> None:
    state, statuses, restarts = WELL_ONCE, [], []
    for second in (0, 30, 59, 60, 90, 120):
        verdict = judged(starting(second), state)
        state = verdict.state
        statuses.append(state.status.value)
        restarts.append(verdict.restart)
    assert statuses == ["starting", "starting", "starting", "suspect", "suspect", "unhealthy"]
    assert restarts == [False, False, False, False, False, True]
    assert (state.failures, state.down_since) == (3, at(60))


def test_a_known_start_sets_the_deadline_of_an_instance_that_says_starting() -> None:
    assert judged(starting(60, started=0), NEW).state.failures == 1
    assert judged(starting(60, started=1), NEW).state.failures == 0


def test_a_newer_start_gives_an_instance_that_says_starting_its_grace_again() -> None:
    state = State(Status.STARTING, starting_since=at(0))
    assert judged(starting(100, started=90), state).state.status is Status.STARTING


def test_a_healthy_instance_that_says_starting_is_not_healthy_for_ever() -> None:
    for started in (None, LONG_AGO):
        state = judged(starting(0, started=started), HEALTHY).state
        assert state.status is Status.STARTING
        assert judged(starting(60, started=started), state).state.failures == 1


def test_whoever_says_starting_has_one_grace_however_often_his_host_is_lost() -> None:
    for started in (LONG_AGO, 0):
        state = WELL_ONCE
        for second in range(0, 120, 10):
            state = judged(unknown(second + 5), judged(starting(second, started=started), state).state).state
        assert (state.failures, state.down_since) == (6, at(60))


def test_an_engine_whose_clock_runs_ahead_does_not_stretch_the_grace() -> None:
    state = NEW
    for second in range(0, 300, 30):
        state = judged(fail(second, started=3600), state).state
    assert state.failures > 0


def test_a_plan_without_grace_counts_the_first_refusal() -> None:
    assert judged(fail(0, started=0), NEW, replace(POLICY, start_grace=0)).state.failures == 1


REOPENED = {
    "at once": (0, 2),
    "just within": (600, 2),
    "just after": (600.001, 0),
    "a day later": (86_400, 0),
}


@pytest.mark.parametrize(("later", "used"), REOPENED.values(), ids=REOPENED.keys())
def test_the_budget_is_kept_by_failing_again_soon_and_refilled_by_a_calm_time(
    later: float, used: int
) -> None:
    recovered = replace(HEALTHY, restarts_used=2, recovered_at=at(0))
    after = judged(fail(later), recovered).state
    assert (after.restarts_used, after.down_since) == (used, at(later))


def test_later_failures_of_a_long_outage_do_not_refill_the_budget() -> None:
    state = replace(down(Status.SUSPECT, 2, used=2), recovered_at=at(LONG_AGO))
    assert judged(fail(5000), state).state.restarts_used == 2


def test_reopening_with_nothing_left_fails_at_once_and_stays_failed() -> None:
    recovered = replace(HEALTHY, restarts_used=3, recovered_at=at(FLAPPED))
    first = judged(fail(0, "exited"), recovered)
    second = judged(fail(30), first.state)
    assert [v.state.status for v in (first, second)] == [Status.FAILED, Status.FAILED]
    assert not first.restart and not second.restart


def test_a_failure_before_the_wait_is_over_asks_for_no_restart() -> None:
    waiting = replace(down(Status.UNHEALTHY, 4, used=1), restart_not_before=at(20), next_check_at=at(20))
    early, due = judged(fail(19.9), waiting), judged(fail(20), waiting)
    assert (early.restart, early.state.next_check_at) == (False, at(20))
    assert due.restart


@pytest.mark.parametrize(("jitter", "wait"), [(-1.0, 24.0), (-0.5, 27.0), (0.0, 30.0), (1.0, 36.0)])
def test_a_recheck_comes_after_thirty_seconds_give_or_take_a_fifth(jitter: float, wait: float) -> None:
    for observation, state in ((fail(), HEALTHY), (ok(), down(Status.SUSPECT, 2)), (unknown(), HEALTHY)):
        verdict = assess(observation, state, POLICY, at(0), jitter)
        assert seconds(verdict.state.next_check_at) == pytest.approx(wait)


def test_an_order_to_restart_that_gets_lost_is_given_again_after_a_recheck() -> None:
    verdict = judged(fail(), down(Status.SUSPECT, 2))
    assert verdict.restart and verdict.state.next_check_at == at(30)


def test_a_failed_instance_is_left_to_the_sweep_and_its_slow_attempt_until_it_passes_once() -> None:
    assert judged(fail(), FAILED).state.next_check_at == at(900)
    assert judged(ok(), FAILED).state.next_check_at == at(30)


STALE = {"older": (-1, True), "of the same moment": (0, False), "newer": (1, False)}


@pytest.mark.parametrize(("began", "stale"), STALE.values(), ids=STALE.keys())
def test_a_check_is_stale_when_a_newer_one_ended_after_it_began(began: float, stale: bool) -> None:
    late = replace(fail(began), finished_at=at(100))
    assert is_stale(late, replace(HEALTHY, checked_at=at(0))) is stale


def test_nothing_is_stale_before_the_first_check() -> None:
    assert not is_stale(fail(LONG_AGO), NEW)


def test_of_two_racing_checks_only_one_counts() -> None:
    slow, quick = replace(fail(0), finished_at=at(5)), replace(fail(1), finished_at=at(2))
    assert is_stale(slow, judged(quick, HEALTHY).state)
    assert is_stale(quick, judged(slow, HEALTHY).state)
