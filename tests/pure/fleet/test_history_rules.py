"""When the history is rolled up, what of it may go, and which days have a partition."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.db import partitions
from instances.fleet import history_rules as rules
from instances.lib.calendar import DAY, HOUR, day_of, hour_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(("minutes", "due"), [(59, False), (60, False), (89, False), (90, True), (600, True)])
def test_an_hour_is_due_when_nothing_more_is_expected_of_it(minutes: int, due: bool) -> None:
    assert rules.hour_is_due(NOON, NOON + timedelta(minutes=minutes)) is due


@pytest.mark.parametrize(("hours", "due"), [(23, False), (24, True), (30, True)])
def test_a_day_is_due_when_it_has_all_its_hours(hours: int, due: bool) -> None:
    day = day_of(NOON)
    assert rules.day_is_due(day, day + hours * HOUR) is due


@pytest.mark.parametrize(
    ("rolled_up", "goes"),
    [
        (None, 35), (0, 7), (6, 7),  # days ago
        (8, 8),  # not rolled up yet
        (34, 34),
        (60, 35),  # it stood still for too long
    ],
)  # fmt: skip
def test_checks_go_when_they_are_old_and_rolled_up(rolled_up: int | None, goes: int) -> None:
    until = None if rolled_up is None else NOON - rolled_up * DAY
    assert rules.first_to_keep(NOON, 7 * DAY, until, 35 * DAY) == NOON - goes * DAY


C, H, D = rules.Source.CHECKS, rules.Source.HOURS, rules.Source.DAYS


def kept(hours: float | None, days: float | None, checks: float = 7, hourly: float = 35) -> rules.Kept:
    """Rolled up until so many hours and days ago; checks and hours kept for so many days."""
    return rules.Kept(
        checks_since=NOON - checks * DAY,
        hours_since=NOON - hourly * DAY,
        hours_until=None if hours is None else NOON - hours * HOUR,
        days_until=None if days is None else day_of(NOON) - days * DAY,
    )


@pytest.mark.parametrize(
    ("since", "finest", "known", "read"),
    [  # days ago that each begins
        (1, HOUR / 5, kept(1, 0), [(C, 1)]),
        (1, HOUR, kept(1, 0), [(H, 1), (C, 1 / 24)]),
        (1, HOUR, kept(None, None), [(C, 1)]),  # nothing is rolled up: an upgrade is under way
        (30, HOUR * 6, kept(None, None), [(C, 30)]),
        (30, HOUR * 6, kept(2, 1), [(H, 30), (C, 2 / 24)]),
        (30, HOUR * 6, kept(72, 3), [(H, 30), (C, 3)]),  # the roll-up is late
        (30, HOUR / 5, kept(2, 1), [(H, 30), (C, 7 - 1 / 24)]),
        (30, HOUR / 5, kept(240, 11), [(H, 30), (C, 10)]),  # so late that old checks had to stay
        (365, DAY * 4, kept(2, 0), [(D, 365.5), (H, 0.5), (C, 2 / 24)]),
        (365, DAY * 4, kept(2, 1), [(D, 365.5), (H, 1.5), (C, 2 / 24)]),
        (365, DAY * 4, kept(2, None), [(H, 365), (C, 2 / 24)]),
        (30, HOUR * 6, kept(2, 1, hourly=3), [(D, 30.5), (H, 2.5), (C, 2 / 24)]),
        (30, HOUR / 5, kept(2, 1, checks=10, hourly=3), [(D, 30.5), (C, 9.5)]),
        (1 / 48, HOUR, kept(2, 1), [(C, 1 / 48)]),
        (0, HOUR, kept(2, 1), []),
    ],
)  # fmt: skip
def test_a_period_is_read_from_the_finest_that_is_kept_and_no_finer_than_it_is_drawn(
    since: float, finest: timedelta, known: rules.Kept, read: list[tuple[rules.Source, float]]
) -> None:
    found = rules.stretches(NOON - since * DAY, NOON, finest, known)
    assert [(part.source, part.since) for part in found] == [(each, NOON - ago * DAY) for each, ago in read]
    ends = [part.since for part in found[1:]] + [NOON]
    assert [part.until for part in found] == ends[: len(found)]


AGES = st.floats(0, 60, allow_nan=False)


@given(AGES, st.sampled_from([HOUR / 5, HOUR, DAY]), st.none() | st.integers(1, 1500), st.integers(1, 60),
       st.integers(1, 60), st.integers(0, 3))  # fmt: skip
def test_nothing_is_left_out_or_read_twice_whatever_is_kept(
    ago: float, finest: timedelta, behind: int | None, checks: int, hourly: int, more_days: int
) -> None:
    hours_until = None if behind is None else NOON - behind * HOUR
    days_until = None if hours_until is None else day_of(hours_until) - more_days * DAY
    known = rules.Kept(NOON - checks * DAY, NOON - hourly * DAY, hours_until, days_until)
    since = NOON - ago * DAY
    found = rules.stretches(since, NOON, finest, known)
    if since < NOON:
        assert found[0].since <= since and found[-1].until == NOON
    for part, following in pairwise(found):
        assert part.until == following.since
    for part in found:
        if part.source is D:
            assert part.since == day_of(part.since) and part.until == day_of(part.until)
        elif part.source is H:
            assert part.since == hour_of(part.since) and part.until == hour_of(part.until)


@pytest.mark.parametrize(
    ("days", "most", "known", "step", "parts", "ends"),
    [
        (1, 120, kept(2, 1), HOUR / 5, 120, NOON),
        (30, 120, kept(None, None), HOUR * 6, 120, NOON),
        (7, 120, kept(2, 1), HOUR * 2, 84, NOON + HOUR),
        (30, 120, kept(2, 1), HOUR * 6, 120, NOON + HOUR),
        (365, 120, kept(2, 1), DAY * 4, 92, NOON + DAY / 2),
        (30, 120, kept(2, 1, hourly=3), DAY, 30, NOON + DAY / 2),  # days can't be cut into parts of hours
        (30, 120, kept(2, 1, hourly=29), DAY, 30, NOON + DAY / 2),
        (7, 1, kept(2, 1), DAY * 7, 1, NOON + DAY / 2),
    ],
)  # fmt: skip
def test_parts_begin_with_the_sums_they_are_filled_from(
    days: int, most: int, known: rules.Kept, step: timedelta, parts: int, ends: datetime
) -> None:
    now = NOON + timedelta(minutes=10)
    known = replace(known, checks_since=known.checks_since + (now - NOON))
    now = now if known.hours_until else NOON
    ends = ends if ends != NOON else now
    found = rules.framed(days * DAY, most, now, known)
    assert (found.step, found.parts, found.until) == (step, parts, ends)
    assert found.stretches[0].since in (found.since, now - days * DAY)


def test_sums_add_up_and_an_average_counts_as_often_as_it_was_measured() -> None:
    one = rules.Sum(NOON, 4, 1, 1, 3000, 600, 10, 30, 20.0, 2)
    other = rules.Sum(NOON + HOUR, 1, 0, 0, 3600, 0, 5, 5, 5.0, 1)
    assert one + other == rules.Sum(NOON, 5, 1, 1, 6600, 600, 5, 30, 15.0, 3)
    assert rules.Sum(NOON) + rules.Sum(NOON) == rules.Sum(NOON)


def test_partitions_are_named_by_their_day_and_made_ahead() -> None:
    assert partitions.name_of("instances_check", date(2026, 3, 2)) == "instances_check_20260302"
    assert partitions.day_of("instances_check", "instances_check_20260302") == date(2026, 3, 2)
    assert partitions.day_of("instances_check", "instances_check_default") is None
    assert partitions.day_of("instances_check", "others_20260302") is None
    assert partitions.wanted(date(2026, 2, 27))[:3] == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]
