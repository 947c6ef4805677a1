"""Restarts and what they leave behind: the budget, the waits, giving up, and the whole timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from instances.health import restarts
from instances.health.assess import assess, is_stale
from instances.health.state import Policy, State, Status
from tests.pure.moments import FLAPPED, HEALTHY, at, down, fail, ok, seconds, unknown

POLICY = Policy()
UNHEALTHY = down(Status.UNHEALTHY, 3)
GATE = 66.0  # seconds a gate takes that is never passed: the grace and a margin


def test_an_automatic_restart_uses_up_an_attempt_before_it_acts() -> None:
    state = restarts.restart_begun(UNHEALTHY, at(0), automatic=True)
    assert (state.status, state.restarts_used) == (Status.RESTARTING, 1)
    assert (state.last_restart_at, state.next_check_at) == (at(0), None)
    assert (state.failures, state.down_since) == (3, at(-60))


@pytest.mark.parametrize("used", [0, 1, 3])
def test_a_manual_restart_is_always_allowed_and_costs_no_attempt(used: int) -> None:
    for status in set(Status) - {Status.PAUSED}:
        before = down(status, 4, used=used)
        state = restarts.restart_begun(before, at(0), automatic=False)
        assert (state.status, state.restarts_used) == (Status.RESTARTING, used)


def test_a_restart_that_passed_its_gate_ends_the_outage_and_keeps_its_budget() -> None:
    restarting = restarts.restart_begun(UNHEALTHY, at(0), automatic=True)
    state = restarts.restart_passed(restarting, POLICY, at(20))
    assert (state.status, state.failures, state.successes) == (Status.HEALTHY, 0, 2)
    assert (state.down_since, state.recovered_at, state.last_healthy_at) == (None, at(20), at(20))
    assert (state.restarts_used, state.next_check_at) == (1, None)


def test_a_manual_restart_of_a_healthy_instance_is_no_recovery() -> None:
    well = replace(HEALTHY, restarts_used=2, recovered_at=at(-5000))
    state = restarts.restart_passed(restarts.restart_begun(well, at(0), automatic=False), POLICY, at(20))
    assert (state.status, state.recovered_at) == (Status.HEALTHY, at(-5000))


def test_a_manual_restart_that_passes_ends_failed() -> None:
    restarting = restarts.restart_begun(down(Status.FAILED, 6, used=3), at(0), automatic=False)
    assert restarts.restart_passed(restarting, POLICY, at(20)).status is Status.HEALTHY


def test_a_restart_that_fails_counts_one_failure() -> None:
    restarting = restarts.restart_begun(UNHEALTHY, at(0), automatic=True)
    state = restarts.restart_failed(restarting, POLICY, at(GATE), at(1))
    assert (state.status, state.failures, state.down_since) == (Status.UNHEALTHY, 4, at(-60))


def test_a_manual_restart_that_fails_begins_the_outage_of_a_healthy_instance() -> None:
    restarting = restarts.restart_begun(HEALTHY, at(0), automatic=False)
    state = restarts.restart_failed(restarting, POLICY, at(GATE), at(1))
    assert (state.failures, state.down_since, state.restarts_used) == (1, at(GATE), 0)


WAITS = {"the first": (0, 0), "the second": (1, 20), "the third": (2, 40)}


@pytest.mark.parametrize(("used", "wait"), WAITS.values(), ids=WAITS.keys())
@pytest.mark.parametrize("jitter", [-1.0, 0.0, 0.3, 1.0])
def test_the_waits_before_attempts_grow_and_vary_by_a_fifth(used: int, wait: float, jitter: float) -> None:
    restarting = replace(UNHEALTHY, status=Status.RESTARTING, restarts_used=used)
    state = restarts.restart_failed(restarting, POLICY, at(100), at(1), jitter)
    due = seconds(state.restart_not_before) or 100
    assert due - 100 == pytest.approx(wait * (1 + 0.2 * jitter))
    assert assess(fail(due), state, POLICY, at(due)).restart


def test_the_check_before_an_attempt_comes_when_the_wait_is_over() -> None:
    restarting = replace(UNHEALTHY, status=Status.RESTARTING, restarts_used=2)
    state = restarts.restart_failed(restarting, POLICY, at(0), at(-66))
    assert state.next_check_at == state.restart_not_before == at(40)


def test_an_instance_that_is_well_after_its_wait_is_not_restarted() -> None:
    restarting = replace(UNHEALTHY, status=Status.RESTARTING, restarts_used=1)
    state = restarts.restart_failed(restarting, POLICY, at(0), at(-66))
    for second in (20, 50):
        verdict = assess(ok(second), state, POLICY, at(second))
        state = verdict.state
        assert not verdict.restart
    assert state.status is Status.HEALTHY


def test_the_third_failed_attempt_is_the_last() -> None:
    restarting = restarts.restart_begun(down(Status.UNHEALTHY, 5, used=2), at(0), automatic=True)
    state = restarts.restart_failed(restarting, POLICY, at(GATE), at(1))
    assert (state.status, state.restarts_used) == (Status.FAILED, 3)
    assert state.restart_not_before == state.next_check_at == at(GATE + 900)


def test_a_manual_restart_that_fails_on_a_failed_instance_leaves_it_failed() -> None:
    restarting = restarts.restart_begun(down(Status.FAILED, 6, used=3), at(0), automatic=False)
    assert restarts.restart_failed(restarting, POLICY, at(GATE), at(1)).status is Status.FAILED


def test_grace_counts_from_the_restart_and_not_from_an_earlier_start() -> None:
    state = replace(UNHEALTHY, starting_since=at(-500), status=Status.RESTARTING)
    after = restarts.restart_failed(state, POLICY, at(GATE), at(0))
    assert after.starting_since == at(0)
    assert restarts.restart_failed(state, POLICY, at(GATE), None).starting_since == at(-500)


@pytest.mark.parametrize(("used", "wait"), [(1, 20), (2, 40)])
def test_the_waits_of_an_incident_hold_although_a_restart_passed_in_between(used: int, wait: float) -> None:
    """An instance that passes its gate and dies right after it must not burn its attempts in seconds."""
    state = restarts.restart_passed(replace(UNHEALTHY, restarts_used=used), POLICY, at(0))
    first = assess(fail(1, "exited"), state, POLICY, at(1))
    assert not first.restart
    due = seconds(first.state.next_check_at) or 0
    assert due >= wait * 0.8
    assert assess(fail(due, "exited"), first.state, POLICY, at(due)).restart


def test_a_restart_the_host_prevented_gives_its_attempt_back() -> None:
    restarting = restarts.restart_begun(down(Status.UNHEALTHY, 3, used=1), at(0), automatic=True)
    state = restarts.restart_prevented(restarting, POLICY, at(10), refund=True)
    assert (state.status, state.restarts_used, state.next_check_at) == (Status.UNKNOWN, 1, at(40))
    assert (state.failures, state.down_since) == (3, at(-60))
    assert assess(fail(40), state, POLICY, at(40)).restart


def test_what_lasts_on_the_host_holds_the_next_restart_back() -> None:
    restarting = restarts.restart_begun(down(Status.UNHEALTHY, 3), at(0), automatic=True)
    state = restarts.restart_prevented(restarting, POLICY, at(10), refund=True, lasts=True)
    assert (state.status, state.restarts_used) == (Status.UNKNOWN, 0)
    early = assess(fail(40), state, POLICY, at(40))
    assert not early.restart
    assert early.state.next_check_at == at(310)
    assert assess(fail(310), early.state, POLICY, at(310)).restart


def test_a_prevented_manual_restart_has_nothing_to_give_back() -> None:
    state = restarts.restart_prevented(down(Status.RESTARTING, 3, used=2), POLICY, at(0), refund=False)
    assert state.restarts_used == 2
    nothing = restarts.restart_prevented(down(Status.RESTARTING, 3), POLICY, at(0), refund=True)
    assert nothing.restarts_used == 0


def test_a_denied_restart_changes_nothing_but_the_next_check() -> None:
    assert restarts.restart_denied(UNHEALTHY, at(0), 5) == replace(UNHEALTHY, next_check_at=at(5))


def test_a_moment_without_its_engine_does_not_make_a_failed_instance_suspect() -> None:
    state = down(Status.FAILED, 6, used=3)
    for observation in (unknown(0), ok(30), fail(60)):
        state = assess(observation, state, POLICY, observation.finished_at).state
        assert state.status in (Status.FAILED, Status.UNKNOWN)
    assert state.status is Status.FAILED


ENDS: dict[str, Callable[[State], State]] = {
    "passed": lambda state: restarts.restart_passed(state, POLICY, at(20)),
    "failed": lambda state: restarts.restart_failed(state, POLICY, at(20), at(1)),
    "prevented": lambda state: restarts.restart_prevented(state, POLICY, at(20), refund=True),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_probe_begun_during_a_restart_is_stale_however_it_ended(end: Callable[[State], State]) -> None:
    during = replace(fail(10, "exited"), finished_at=at(25))
    assert is_stale(during, end(restarts.restart_begun(UNHEALTHY, at(0), automatic=True)))


def test_an_instance_taken_out_of_pause_starts_with_a_clean_sheet() -> None:
    paused = replace(down(Status.PAUSED, 4, used=3), last_restart_at=at(-5), starting_since=at(-9))
    assert restarts.resumed(paused) == State(last_healthy_at=at(-900), last_restart_at=at(-5))


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_restart_by_hand_does_not_end_a_pause(end: Callable[[State], State]) -> None:
    paused = down(Status.PAUSED, 4, used=3)
    begun = restarts.restart_begun(paused, at(0), automatic=False)
    assert (begun.status, begun.last_restart_at) == (Status.PAUSED, at(0))
    assert (end(begun).status, end(begun).next_check_at) == (Status.PAUSED, None)


@dataclass
class Story:
    """An instance that answers nothing from second 0 on, looked at whenever its state asks for it."""

    jitter: float = 0.0
    reason: str = "refused"
    policy: Policy = POLICY
    state: State = HEALTHY
    now: float = 0.0
    started: float = -50_000.0
    failures: list[float] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)
    statuses: dict[Status, float] = field(default_factory=dict)

    def run(self, until: float) -> Story:
        while self.now < until:
            self._look()
            self.statuses.setdefault(self.state.status, self.now)
            again = seconds(self.state.next_check_at) or self.now + 900
            assert again > self.now, "time goes on"
            self.now = again
        return self

    def _look(self) -> None:
        self.failures.append(self.now)
        seen = fail(self.now, self.reason, started=self.started)
        verdict = assess(seen, self.state, self.policy, at(self.now), self.jitter)
        self.state = verdict.state
        self.statuses.setdefault(self.state.status, self.now)
        if verdict.restart:
            self._restart()

    def _restart(self) -> None:
        self.restarts.append(self.now)
        self.state = restarts.restart_begun(self.state, at(self.now), automatic=True)
        self.started, self.now = self.now + 1, self.now + GATE
        self.state = restarts.restart_failed(
            self.state, self.policy, at(self.now), at(self.started), self.jitter
        )


def test_the_timeline_of_an_outage_is_the_documented_one() -> None:
    story = Story().run(until=1000)
    assert story.failures[:3] == [0, 30, 60]
    assert story.restarts == [60, 146, 252]
    assert story.statuses == {Status.SUSPECT: 0, Status.UNHEALTHY: 60, Status.FAILED: 318}
    assert story.state.status is Status.FAILED
    assert (story.state.restarts_used, story.state.down_since) == (3, at(0))


@pytest.mark.parametrize("jitter", [-1.0, -0.4, 0.4, 1.0])
def test_jitter_moves_the_timeline_by_no_more_than_a_fifth_of_its_waits(jitter: float) -> None:
    story = Story(jitter).run(until=900)
    assert len(story.restarts) == 3
    assert story.statuses[Status.FAILED] == pytest.approx(318 + (60 + 20 + 40) * 0.2 * jitter)


@pytest.mark.parametrize("reason", ["exited", "oom_killed", "missing", "crash_loop"])
def test_a_container_that_is_gone_is_restarted_from_the_first_second_on(reason: str) -> None:
    story = Story(reason=reason).run(until=1000)
    assert story.restarts == [0, 86, 192]
    assert story.statuses == {Status.UNHEALTHY: 0, Status.FAILED: 258}


def test_a_failed_instance_that_recovers_and_fails_again_soon_gets_no_new_attempts() -> None:
    story = Story().run(until=400)
    for second in (400, 430):
        story.state = assess(ok(second), story.state, POLICY, at(second)).state
    assert story.state.status is Status.HEALTHY
    story.now = 500
    story.run(until=1390)
    assert (len(story.restarts), story.state.status) == (3, Status.FAILED)
    story.run(until=1500)
    assert story.restarts[3:] == [1400]


def test_an_outage_after_a_calm_time_has_three_attempts_of_its_own() -> None:
    story = Story().run(until=400)
    for second in (400, 430):
        story.state = assess(ok(second), story.state, POLICY, at(second)).state
    story.now = 1100
    story.run(until=2000)
    assert [round(t) for t in story.restarts[3:]] == [1160, 1246, 1352]


def test_what_was_given_up_is_tried_again_after_15_minutes_and_then_hourly() -> None:
    story = Story().run(until=9000)
    slow = [1218, 1218 + GATE + 3600, 1218 + 2 * (GATE + 3600)]
    assert story.restarts == [60, 146, 252, *slow]
    assert story.state.status is Status.FAILED
    assert len(Story(policy=replace(POLICY, restart_limit=0)).run(until=9000).restarts) == 0


def test_an_automatic_attempt_of_a_reopened_incident_counts_on() -> None:
    recovered = replace(HEALTHY, restarts_used=2, recovered_at=at(FLAPPED))
    state = assess(fail(0, "exited"), recovered, POLICY, at(0)).state
    due = seconds(state.next_check_at) or 0
    state = assess(fail(due, "exited"), state, POLICY, at(due)).state
    assert restarts.restart_begun(state, at(due), automatic=True).restarts_used == 3


def test_a_refused_restart_costs_no_attempt_and_is_tried_again_after_15_minutes() -> None:
    begun = restarts.restart_begun(UNHEALTHY, at(0), automatic=True)
    state = restarts.remake_refused(begun, POLICY, at(5), refund=True)
    assert (state.status, state.restarts_used, state.next_check_at) == (Status.FAILED, 0, at(905))
    for second in (30, 60, 904):
        verdict = assess(fail(second, "exited"), state, POLICY, at(second))
        state = verdict.state
        assert (state.status, verdict.restart, state.next_check_at) == (Status.FAILED, False, at(905))
        assert not restarts.may_restart(state, POLICY, at(second))
    verdict = assess(fail(905, "exited"), state, POLICY, at(905))
    assert verdict.restart
    assert restarts.may_restart(verdict.state, POLICY, at(905))


def test_what_was_missing_and_is_there_again_is_healed_at_once() -> None:
    state = restarts.remake_refused(UNHEALTHY, POLICY, at(0), refund=False)
    state = assess(fail(30, "data_missing"), state, POLICY, at(30)).state
    assert (state.status, state.next_check_at) == (Status.FAILED, None)
    verdict = assess(fail(60, "missing"), state, POLICY, at(60))
    assert (verdict.state.status, verdict.restart) == (Status.UNHEALTHY, True)


def test_without_automatic_restarts_a_refused_one_is_tried_no_more() -> None:
    state = restarts.remake_refused(UNHEALTHY, replace(POLICY, restart_limit=0), at(0), refund=False)
    assert (state.status, state.restart_not_before, state.next_check_at) == (Status.FAILED, None, None)
