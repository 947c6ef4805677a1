"""A host is asked as fast as it answers."""

from __future__ import annotations

import pytest

from instances.http.pace import FIRST, LEAST, MOST, Pace


def after(looks: int, *, late_of_ten: int) -> Pace:
    pace = Pace()
    for number in range(looks):
        pace.began()
        pace.ended(is_late=number % 10 < late_of_ten)
    return pace


@pytest.mark.parametrize(("late_of_ten", "room"), [(0, MOST), (1, MOST), (2, MOST), (10, LEAST)])
def test_some_that_hang_change_nothing_and_a_busy_machine_is_asked_slowly(
    late_of_ten: int, room: float
) -> None:
    assert after(5000, late_of_ten=late_of_ten).room == room


def test_a_machine_that_has_time_again_is_asked_quickly_again() -> None:
    pace = after(1000, late_of_ten=10)
    for _ in range(2000):
        pace.began()
        pace.ended(is_late=False)
    assert pace.room == MOST


def test_only_so_many_are_asked_at_a_time() -> None:
    pace = Pace()
    while pace.has_room():
        pace.began()
    assert pace.young == FIRST
    pace.ended(is_late=True)
    assert pace.has_room()
