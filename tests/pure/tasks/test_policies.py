"""When a task is tried again, and how tasks are queued, limited and acknowledged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.lib.backoff import Retry, wait_before_next
from instances.limits import STEP, UNDO
from tasks.policies import CARRY_ON, CHANGE, CLOCKWORK, HEAL, HEARTBEAT, PROBE, READ, TaskPolicy

ALL = {
    "probe": PROBE,
    "clockwork": CLOCKWORK,
    "change": CHANGE,
    "carry on": CARRY_ON,
    "heal": HEAL,
    "heartbeat": HEARTBEAT,
    "read": READ,
}
VISIBILITY_TIMEOUT = 3600

# name: (retry, tries done, seconds until the next)
WAITS: dict[str, tuple[Retry, int, float | None]] = {
    "no second try": (Retry(), 1, None),
    "first wait": (Retry(3, first=2), 1, 2),
    "second wait": (Retry(3, first=2), 2, 4),
    "used up": (Retry(3, first=2), 3, None),
    "more than used up": (Retry(3, first=2), 9, None),
    "another factor": (Retry(4, first=2, factor=3), 3, 18),
    "capped": (Retry(9, first=2, longest=10), 6, 10),
    "no wait at all": (Retry(2), 1, 0),
    "a step, once": (STEP, 1, 2),
    "a step, twice": (STEP, 2, 6),
    "a step, three times": (STEP, 3, 18),
    "a step, used up": (STEP, 4, None),
    "a change, for the runner has its steps tried again": (CHANGE.retry, 1, None),
    "a probe": (PROBE.retry, 1, None),
    "reading": (READ.retry, 1, 1),
    "reading, used up": (READ.retry, 2, None),
    "undoing": (UNDO, 1, 5),
    "undoing for an hour": (UNDO, 60, 60),
    "undoing for a weekend": (UNDO, 3000, 60),
    "undoing for a year": (UNDO, 500_000, 60),
}


@pytest.mark.parametrize(("retry", "done", "wait"), WAITS.values(), ids=WAITS.keys())
def test_waits_grow_up_to_the_longest_and_end_with_the_tries(
    retry: Retry, done: int, wait: float | None
) -> None:
    assert wait_before_next(retry, done) == wait


@pytest.mark.parametrize(("jitter", "wait"), [(-1, 8), (-0.5, 9), (0, 10), (1, 12)])
def test_jitter_spreads_a_wait_as_far_as_it_may(jitter: float, wait: float) -> None:
    assert wait_before_next(Retry(2, first=10, spread=0.2), 1, jitter) == pytest.approx(wait)


def test_a_retry_without_spread_waits_exactly() -> None:
    assert wait_before_next(Retry(2, first=10), 1, 1.0) == 10


@given(st.integers(1, 1000), st.integers(1, 1000), st.floats(0, 100), st.floats(1, 3), st.floats(-1, 1))
def test_a_wait_stays_within_its_bounds(
    tries: int, done: int, first: float, factor: float, jitter: float
) -> None:
    wait = wait_before_next(Retry(tries, first, factor, spread=0.2), done, jitter)
    assert (wait is None) == (done >= tries)
    assert wait is None or 0 <= wait <= 60 * 1.2 + 1e-9


@pytest.mark.parametrize("policy", ALL.values(), ids=ALL.keys())
def test_no_task_outlives_the_visibility_of_its_message(policy: TaskPolicy) -> None:
    options = policy.options()
    assert 0 < options["soft_time_limit"] < options["time_limit"] < VISIBILITY_TIMEOUT
    assert policy.queue in ("health", "operations", "notifications")


def test_changes_acknowledge_late_and_looks_early() -> None:
    late = {name for name, policy in ALL.items() if policy.options()["acks_late"]}
    assert late == {"change", "carry on"}


def test_messages_that_are_worthless_when_late_expire() -> None:
    assert {name for name, policy in ALL.items() if policy.expires} == {"clockwork", "heal", "heartbeat"}
    assert CLOCKWORK.expires is not None and CLOCKWORK.expires < 900
