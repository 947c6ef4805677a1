"""When the history is rolled up, what of it may go, and which days have a partition."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from instances.db import partitions
from instances.fleet import history_rules as rules

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(("minutes", "due"), [(59, False), (60, False), (89, False), (90, True), (600, True)])
def test_an_hour_is_due_when_nothing_more_is_expected_of_it(minutes: int, due: bool) -> None:
    assert rules.hour_is_due(NOON, NOON + timedelta(minutes=minutes)) is due


@pytest.mark.parametrize(("hours", "due"), [(23, False), (24, True), (30, True)])
def test_a_day_is_due_when_it_has_all_its_hours(hours: int, due: bool) -> None:
    day = rules.day_of(NOON)
    assert rules.day_is_due(day, day + hours * HOUR) is due


@pytest.mark.parametrize(
    ("rolled_up", "goes"),
    [
        (None, 7), (0, 7), (6, 7),  # days ago
        (8, 8),  # not rolled up yet
        (34, 34),
        (60, 35),  # it stood still for too long
    ],
)  # fmt: skip
def test_checks_go_when_they_are_old_and_rolled_up(rolled_up: int | None, goes: int) -> None:
    until = None if rolled_up is None else NOON - rolled_up * DAY
    assert rules.first_to_keep(NOON, 7 * DAY, until, 35 * DAY) == NOON - goes * DAY


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
