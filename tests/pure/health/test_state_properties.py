"""What holds after any sequence of observations and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from instances.health import restarts
from instances.health.assess import assess
from instances.health.response import Outcome
from instances.health.state import HARD_REASONS, Observation, Policy, State, Status, Verdict
from tests.pure.moments import LONG_AGO, at, ok, seconds, seen

POLICIES = st.builds(
    Policy,
    failure_threshold=st.integers(1, 5),
    success_threshold=st.integers(1, 4),
    restart_limit=st.integers(0, 4),
    start_grace=st.sampled_from([0.0, 10.0, 60.0]),
)
REASONS = st.sampled_from(["refused", "timeout", "http_503", "exited", "missing", "crash_loop"])


@dataclass(frozen=True)
class Event:
    """After `pause` seconds something is seen; a restart it calls for ends in the way of `end`."""

    pause: float
    outcome: Outcome
    reason: str
    age: float | None  # seconds since the container's start, None when that is not known
    end: str
    jitter: float

    def observation(self, now: float) -> Observation:
        reason = self.reason if self.outcome is Outcome.FAIL else ""
        return seen(self.outcome, now, reason, started=None if self.age is None else now - self.age)


EVENTS = st.lists(
    st.builds(
        Event,
        pause=st.sampled_from([1.0, 5.0, 30.0, 70.0, 590.0, 900.0]),
        outcome=st.sampled_from(Outcome),
        reason=REASONS,
        age=st.sampled_from([None, 0.0, 5.0, 59.0, 61.0, 10_000.0]),
        end=st.sampled_from(["passed", "failed", "prevented", "denied", "lost"]),
        jitter=st.floats(-1, 1),
    ),
    max_size=30,
)


@dataclass(frozen=True)
class Scene:
    """One step of a play: the state before, what was done and judged, the state after."""

    now: float
    before: State
    verdict: Verdict
    after: State
    seen: Observation
    ended: str


def play(events: list[Event], policy: Policy, state: State) -> Iterator[Scene]:
    """Live through the events as the application does: a restart only begins when a verdict asks for it."""
    now = 0.0
    for event in events:
        now += event.pause
        observation = event.observation(now)
        verdict = assess(observation, state, policy, at(now), event.jitter)
        ended = event.end if verdict.restart else ""
        after = restarted(verdict.state, policy, now, event) if verdict.restart else verdict.state
        yield Scene(now, state, verdict, after, observation, ended)
        state = after
        now += 1


def restarted(state: State, policy: Policy, now: float, event: Event) -> State:
    begun = restarts.restart_begun(state, at(now), automatic=True)
    match event.end:
        case "passed":
            return restarts.restart_passed(begun, policy, at(now + 1), automatic=True)
        case "failed":
            return restarts.restart_failed(begun, policy, at(now + 1), at(now), event.jitter)
        case "prevented":
            return restarts.restart_prevented(begun, policy, at(now + 1), refund=True)
        case "denied":
            return restarts.restart_denied(state, at(now + 1), 5)
        case _:
            return state


def attempts_are_few_until_one_helps_and_then_slow(scenes: list[Scene], policy: Policy) -> None:
    """Counted here anew: an incident goes on when it is failing again soon after a recovery."""
    in_vain, recovered, last = 0, -1e9, -1e9
    for scene in scenes:
        if scene.before.down_since is None and scene.verdict.state.down_since is not None:
            in_vain = in_vain if scene.now - recovered <= policy.reopen_within else 0
        if scene.verdict.restart and in_vain >= policy.restart_limit:
            assert scene.now - last >= policy.slow_retry * (1 - policy.spread)
        in_vain += scene.ended == "failed"
        last = scene.now + 1 if scene.ended in ("passed", "failed") else last
        assert policy.restart_limit or not scene.verdict.restart
        if scene.after.down_since is None:
            recovered = seconds(scene.after.recovered_at) or recovered


def down_since_is_none_exactly_when_no_failure_is_unanswered(scenes: list[Scene], policy: Policy) -> None:
    is_down, passed = False, 0
    for scene in scenes:
        if scene.seen.outcome is Outcome.OK:
            passed += 1
        elif scene.seen.outcome is not Outcome.UNKNOWN:
            passed = 0
        is_down = is_down or scene.verdict.state.failures > scene.before.failures
        if scene.ended == "passed" or passed >= policy.success_threshold:
            is_down = False
        assert (scene.after.down_since is None) == (not is_down)


def a_status_says_whether_the_instance_is_down(scenes: list[Scene], policy: Policy) -> None:
    for scene in scenes:
        if scene.after.status is Status.HEALTHY:
            assert scene.after.down_since is None and scene.after.failures == 0
        if scene.after.status in (Status.SUSPECT, Status.UNHEALTHY, Status.FAILED):
            assert scene.after.down_since is not None


def unknown_changes_no_streak_and_no_budget(scenes: list[Scene], policy: Policy) -> None:
    for scene in scenes:
        if scene.seen.outcome is Outcome.UNKNOWN:
            before, after = scene.before, scene.after
            moved = replace(
                before, status=after.status, checked_at=after.checked_at, next_check_at=after.next_check_at
            )
            assert after == moved


def a_long_run_of_successes_always_ends_healthy(scenes: list[Scene], policy: Policy) -> None:
    state, now = State(), 0.0
    for scene in scenes:
        state, now = scene.after, scene.now + 1
    for _ in range(policy.success_threshold):
        now += 1
        state = assess(ok(now), state, policy, at(now)).state
    assert (state.status, state.down_since, state.next_check_at) == (Status.HEALTHY, None, None)


def a_restart_is_only_called_for_by_a_counted_failure_when_it_is_due(
    scenes: list[Scene], policy: Policy
) -> None:
    for scene in scenes:
        if scene.verdict.restart:
            state = scene.verdict.state
            assert state.failures == scene.before.failures + 1
            gone = scene.seen.reason in HARD_REASONS
            was_bad = scene.before.status in (Status.UNHEALTHY, Status.FAILED, Status.UNKNOWN)
            assert gone or was_bad or state.failures >= policy.failure_threshold
            assert state.restart_not_before is None or state.restart_not_before <= at(scene.now)
            assert state.status in (Status.UNHEALTHY, Status.FAILED)


def whatever_is_not_at_rest_is_looked_at_again_soon(scenes: list[Scene], policy: Policy) -> None:
    longest = max(36.0, policy.restart_backoff * policy.restart_limit * 1.2)
    for scene in scenes:
        if scene.after.status not in (Status.HEALTHY, Status.FAILED):
            again = seconds(scene.after.next_check_at)
            left_alone = scene.after.status is Status.UNHEALTHY and scene.after.last_healthy_at is None
            assert left_alone if again is None else scene.now < again <= scene.now + 1 + longest


def what_was_never_healthy_is_left_alone(scenes: list[Scene], policy: Policy) -> None:
    for scene in scenes:
        if scene.before.last_healthy_at is None and scene.seen.outcome is not Outcome.OK:
            assert not scene.verdict.restart and scene.after.status is not Status.FAILED


def judging_never_uses_up_an_attempt(scenes: list[Scene], policy: Policy) -> None:
    for scene in scenes:
        assert scene.verdict.state.restarts_used in (scene.before.restarts_used, 0)


PROMISES = [
    attempts_are_few_until_one_helps_and_then_slow,
    down_since_is_none_exactly_when_no_failure_is_unanswered,
    a_status_says_whether_the_instance_is_down,
    unknown_changes_no_streak_and_no_budget,
    a_long_run_of_successes_always_ends_healthy,
    a_restart_is_only_called_for_by_a_counted_failure_when_it_is_due,
    whatever_is_not_at_rest_is_looked_at_again_soon,
    what_was_never_healthy_is_left_alone,
    judging_never_uses_up_an_attempt,
]


@settings(max_examples=250)
@given(EVENTS, POLICIES, st.sampled_from([State(), State(last_healthy_at=at(LONG_AGO))]))
def test_every_promise_is_kept_in_every_life(events: list[Event], policy: Policy, first: State) -> None:
    scenes = list(play(events, policy, first))
    for promise in PROMISES:
        promise(scenes, policy)
