"""What is read in order is read once, whatever order it is committed in."""

from __future__ import annotations

import pytest

from instances.lib.sequence import settled


@pytest.mark.parametrize(
    ("position", "ids", "passed", "count"),
    [
        (0, [], 0, 0),
        (0, [1, 2, 3], 0, 3),
        (7, [8, 9], 0, 2),
        (0, [2, 3], 0, 0),  # 1 is not committed yet
        (0, [1, 3, 4], 0, 1),
        (0, [1, 3, 4, 6], 3, 3),  # 2 was given up, 5 was not
        (0, [4, 5], 4, 2),  # three ids at once
    ],
)
def test_rows_behind_a_gap_wait_until_it_is_given_up(
    position: int, ids: list[int], passed: int, count: int
) -> None:
    assert settled(position, ids, passed) == count
