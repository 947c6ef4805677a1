"""What a clock that ran fast has written into a state neither stops checks nor puts healing off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from instances.health import trusted as believed
from instances.health.assess import assess, is_stale
from instances.health.response import Outcome
from instances.health.state import Observation, Policy, State, Status, is_healed
from instances.health.trusted import PAST

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
SOON = NOW + timedelta(seconds=40)
SINCE = NOW - timedelta(minutes=7)


def trusted(state: State, now: datetime) -> State:
    return believed.trusted(state, now, Policy().longest_wait)


def seen(outcome: Outcome = Outcome.FAIL, at: datetime = NOW) -> Observation:
    return Observation(outcome, at, at, reason="" if outcome is Outcome.OK else "http_503")


@pytest.mark.parametrize(
    ("checked_at", "stale"),
    [
        (None, False),
        (NOW - timedelta(seconds=1), False),
        (NOW + timedelta(seconds=3), True),  # a later check, by a clock that may differ a little
        (NOW + timedelta(seconds=6), False),
        (LATER, False),
    ],
)
def test_a_check_in_the_future_is_unknown_and_not_newer(checked_at: datetime | None, stale: bool) -> None:
    assert is_stale(seen(), State(checked_at=checked_at), NOW) is stale


def test_an_old_check_that_comes_late_is_still_stale() -> None:
    late = seen(at=NOW - timedelta(minutes=5))
    assert is_stale(late, State(checked_at=NOW - timedelta(minutes=1)), NOW)


@pytest.mark.parametrize("name", sorted({*PAST} - {"last_healthy_at"}))
def test_a_moment_that_has_not_been_is_forgotten(name: str) -> None:
    assert getattr(trusted(State(**{name: LATER}), NOW), name) is None  # type: ignore[arg-type]
    past = NOW - timedelta(hours=1)
    assert getattr(trusted(State(**{name: past}), NOW), name) == past  # type: ignore[arg-type]


def test_an_outage_that_begins_in_the_future_has_begun() -> None:
    assert trusted(State(down_since=LATER), NOW).down_since == NOW


@pytest.mark.parametrize("name", ["restart_not_before", "next_check_at"])
@pytest.mark.parametrize(
    ("wait", "checked_at", "expected"),
    [
        (None, LATER, None),
        (SOON, NOW, SOON),
        (NOW - timedelta(hours=3), NOW, NOW - timedelta(hours=3)),
        (LATER, NOW, NOW),  # nothing is put off for so long
        (NOW + timedelta(hours=1), NOW, NOW + timedelta(hours=1)),
        (NOW + timedelta(hours=1), NOW + timedelta(hours=1), NOW),  # the clock that wrote it ran fast
    ],
)
def test_what_was_put_off_too_far_is_due(
    name: str, wait: datetime | None, checked_at: datetime, expected: datetime | None
) -> None:
    state = State(checked_at=checked_at, **{name: wait})  # type: ignore[arg-type]
    assert getattr(trusted(state, NOW), name) == expected


@pytest.mark.parametrize(
    ("down_since", "checked_at", "expected"),
    [(SINCE, NOW, SINCE), (None, SINCE, SINCE), (None, LATER, NOW), (LATER, LATER, NOW), (None, None, NOW)],
)
def test_what_was_healthy_once_stays_so(
    down_since: datetime | None, checked_at: datetime | None, expected: datetime
) -> None:
    state = trusted(State(last_healthy_at=LATER, down_since=down_since, checked_at=checked_at), NOW)
    assert (state.last_healthy_at, is_healed(state)) == (expected, True)
    assert not is_healed(trusted(State(), NOW))


def test_a_sound_state_is_left_as_it_is() -> None:
    state = State(
        Status.UNHEALTHY, failures=3, down_since=NOW - timedelta(minutes=2), checked_at=NOW,
        restart_not_before=SOON, next_check_at=SOON, last_healthy_at=NOW - timedelta(minutes=3),
    )  # fmt: skip
    assert trusted(state, NOW) == state


def test_healing_is_not_held_by_a_wait_of_a_fast_clock() -> None:
    state = State(
        Status.UNHEALTHY, failures=3, restarts_used=1, down_since=LATER, checked_at=LATER,
        restart_not_before=LATER + timedelta(seconds=20), last_healthy_at=LATER,
    )  # fmt: skip
    verdict = assess(seen(), trusted(state, NOW), Policy(), NOW)
    assert verdict.restart
    assert replace(verdict.state).checked_at == NOW


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (Policy(), 75 * 60),
        (Policy(recheck_interval=7200), 8640),
        (Policy(restart_backoff=3600), 2 * 4320),
        (Policy(restart_backoff=86400, restart_limit=10**9), 20 * 365 * 86400),
        (Policy(restart_limit=0, restart_backoff=86400), 75 * 60),
    ],
)
def test_what_the_settings_put_off_for_long_is_no_clock_that_ran_fast(policy: Policy, seconds: int) -> None:
    assert policy.longest_wait == timedelta(seconds=seconds)
    state = State(next_check_at=NOW + timedelta(seconds=seconds), restart_not_before=NOW)
    assert believed.trusted(state, NOW, policy.longest_wait) == state
