"""What of an instance's checks becomes a row of its history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from instances.checks.kept_rules import is_kept
from instances.health.response import Outcome

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("outcome", "is_news", "before", "every", "kept"),
    [
        (Outcome.OK, False, MINUTE, 600, False),
        (Outcome.OK, False, 10 * MINUTE, 600, True),
        (Outcome.OK, False, 2 * MINUTE, 60, True),
        (Outcome.OK, False, MINUTE, 0, True),
        (Outcome.OK, False, None, 600, True),
        (Outcome.OK, True, MINUTE, 600, True),
        (Outcome.FAIL, False, MINUTE, 600, True),
        (Outcome.FAIL, True, MINUTE, 600, True),
        (Outcome.UNKNOWN, False, MINUTE, 600, False),
        (Outcome.UNKNOWN, True, MINUTE, 600, True),
        (Outcome.UNKNOWN, False, 10 * MINUTE, 600, True),
        (Outcome.STARTING, False, MINUTE, 600, False),
        (Outcome.STARTING, True, MINUTE, 600, True),
    ],
)
def test_failures_and_news_are_kept_and_the_rest_now_and_then(
    outcome: Outcome, is_news: bool, before: timedelta | None, every: float, kept: bool
) -> None:
    earlier = None if before is None else NOW - before
    assert is_kept(outcome, is_news=is_news, earlier=earlier, at=NOW, every=every, instance_id=0) is kept


@pytest.mark.parametrize("instance_id", range(1, 50))
def test_one_that_is_well_has_a_row_in_each_stretch_whatever_its_rhythm(instance_id: int) -> None:
    for rhythm in (60.0, 61.7, 299.0, 600.0, 900.0):
        moments = [NOW + timedelta(seconds=rhythm * number) for number in range(200)]
        rows = [
            at
            for earlier, at in zip([None, *moments], moments, strict=False)
            if is_kept(Outcome.OK, is_news=False, earlier=earlier, at=at, every=600, instance_id=instance_id)
        ]
        length = rhythm * 199
        assert len(rows) in range(int(length / max(600.0, rhythm)), int(length / max(600.0, rhythm)) + 3)
        assert max(later - sooner for sooner, later in pairwise(rows)) <= timedelta(seconds=600 + rhythm)


def test_a_fleets_rows_are_spread_over_time() -> None:
    def rows_at(minute: int) -> int:
        at = NOW + minute * MINUTE
        return sum(
            is_kept(Outcome.OK, is_news=False, earlier=at - MINUTE, at=at, every=600, instance_id=number)
            for number in range(1000)
        )

    assert [rows_at(minute) for minute in range(10)] == pytest.approx([100] * 10, abs=10)
