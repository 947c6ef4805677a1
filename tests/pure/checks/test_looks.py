"""When a round of looks is due, and how fast it is published."""

from __future__ import annotations

from datetime import timedelta

import pytest

from instances.checks.looks import at_once, next_round, rhythm
from tests.pure.moments import at, seconds

EVERY = timedelta(seconds=60)


@pytest.mark.parametrize(
    ("last", "swept", "now", "slot"),
    [
        (None, None, 5, 5),
        (0, None, 59, None),
        (0, None, 60, 60),
        (0, None, 61.9, 60),  # a process that comes late does not put the next round off
        (0, None, 89, 60),
        (0, None, 90, 90),
        (0, None, 5000, 5000),  # nobody was there
        (0, 30, 61, None),  # a sweep looked at everybody
        (0, 30, 91, 90),
        (30, 0, 61, None),
        (None, 0, 60, 60),
    ],
)
def test_a_round_is_due_an_interval_after_the_last_look_at_everybody(
    last: float | None, swept: float | None, now: float, slot: float | None
) -> None:
    looked, swept_at = (None if moment is None else at(moment) for moment in (last, swept))
    assert seconds(next_round(looked, swept_at, at(now), EVERY)) == slot


@pytest.mark.parametrize(("number", "portion"), [(0, 50), (300, 50), (1500, 50), (1501, 51), (5000, 167)])
def test_a_round_takes_half_of_its_time(number: int, portion: int) -> None:
    assert at_once(number, EVERY) == portion


@pytest.mark.parametrize(
    ("within", "timeout", "every"),
    [(60, 5, 53), (900, 5, 893), (60, 10, 48), (10, 5, 8), (1, 1, 0.8), (60, 60, 48)],
)
def test_rounds_are_as_much_closer_together_as_an_answer_may_take(
    within: float, timeout: float, every: float
) -> None:
    assert rhythm(timedelta(seconds=within), timeout) == timedelta(seconds=every)
