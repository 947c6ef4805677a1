"""What a death is that an engine made good, and how many of them are trouble."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.monitoring.death_rules import Death, are_too_many, in_words, started_again

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "started", "is_again"),
    [
        ("running", 0.1, True),
        ("running", 0, True),
        ("running", -60, False),  # the event is about a life before, or clocks differ
        ("running", None, False),
        ("restarting", -60, True),
        ("exited", -60, False),
        ("paused", 0.1, False),
        ("dead", None, False),
    ],
)
def test_who_runs_since_its_death_was_started_again(
    state: str, started: float | None, is_again: bool
) -> None:
    started_at = None if started is None else NOON + timedelta(seconds=started)
    assert started_again(state, started_at, NOON) is is_again


@pytest.mark.parametrize(
    ("minutes_ago", "many"),
    [
        ([0], False),
        ([25, 0], False),
        ([50, 25, 0], True),
        ([60, 25, 0], False),
        ([3, 2, 1, 0], True),
        ([600, 500, 400, 0], False),
        ([0, -10, -20], False),  # of a clock that ran fast
        ([], False),
    ],
)
def test_three_in_an_hour_are_too_many(minutes_ago: list[int], many: bool) -> None:
    deaths = [NOON - timedelta(minutes=minutes) for minutes in minutes_ago]
    assert are_too_many(deaths, NOON, 3, HOUR) is many


def test_a_death_has_its_moment_and_words() -> None:
    assert Death(int(NOON.timestamp()) * 10**9 + 1_500).moment == NOON + timedelta(microseconds=1)
    assert (in_words(1), in_words(0), in_words(None)) == (" with exit code 1", " with exit code 0", "")
