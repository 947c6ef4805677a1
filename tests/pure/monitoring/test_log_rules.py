"""How often lines come, over what a reader of logs meets: gaps, repetitions, wrong order, floods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.monitoring.log_rules import Place, Rate, TokenBucket, moment, stamped

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=10)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("more_than", "minutes", "over"),
    [
        (5, [0, 1, 2, 3, 4], None),
        (5, [0, 1, 2, 3, 4, 9], 20),  # from minute 10 on there are 5 again, for ten minutes at 20
        (5, [0, 1, 2, 3, 4, 10], None),
        (5, [0, 1, 2, 3, 4, 5, 6], 21),
        (5, [0, 0, 0, 0, 0, 0], 20),
        (0, [3], 23),
        (0, [3, 40], 60),
        (1, [0, 1, 50], 20),
        (1, [1, 0], 21),  # told in the wrong order
    ],
)
def test_a_rate_is_told_until_it_was_below_for_as_long_as_it_is_counted(
    more_than: int, minutes: list[float], over: float | None
) -> None:
    rate = Rate(more_than, WINDOW)
    too_many = [rate.add(at(minute)) for minute in minutes]
    assert any(too_many) == (over is not None)
    assert rate.over_at == (None if over is None else at(over))
    if over is not None:
        assert rate.is_above(at(over) - timedelta(seconds=1))
        assert not rate.is_above(at(over))


def test_a_log_that_is_opened_anew_tells_nothing_twice() -> None:
    place = Place(5)
    assert [place.is_new(line) for line in (6, 8, 8, 7, 9, 9)] == [True] * 6
    place.opened()
    assert [place.is_new(line) for line in (7, 8, 9, 9)] == [False] * 4
    assert [place.is_new(line) for line in (9, 10, 9)] == [True] * 3
    place.opened()
    place.opened()  # it broke off before it told anything
    assert [place.is_new(line) for line in (10, 11)] == [False, True]


@pytest.mark.parametrize(
    ("stamp", "known"),
    [
        (b"2026-03-01T12:00:00.123456789Z", 123456789),
        (b"2026-03-01T12:00:00.5Z", 500_000_000),
        (b"2026-03-01T12:00:00Z", 0),
        (b"2026-03-01T13:00:00.123456+01:00", 123456000),
        (b"2026-03-01T12:00:00", None),
        (b"\xff" * 30, None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_the_moment_an_engine_writes_before_a_line(stamp: bytes, known: int | None) -> None:
    noon = int(NOON.timestamp()) * 10**9
    assert moment(stamp) == (None if known is None else noon + known)
    assert stamped(stamp + b" a line") == (moment(stamp), b"a line")


def test_reading_rests_after_a_burst_and_not_before() -> None:
    bucket = TokenBucket(rate=100, burst=500)
    assert bucket.spend(500, now=10) == 0
    assert bucket.spend(100, now=10) == 1
    assert bucket.spend(100, now=11) == 1
    assert bucket.spend(500, now=100) == 0
