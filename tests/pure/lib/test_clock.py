"""A stored time that lies in the future says nothing; clocks may differ by a few seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.lib.clock import is_due, known

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "is_known"), [(-7200, True), (0, True), (5, True), (6, False), (7200, False)]
)
def test_a_moment_is_known_unless_it_lies_in_the_future(seconds: int, is_known: bool) -> None:
    moment = NOW + timedelta(seconds=seconds)
    assert known(moment, NOW) == (moment if is_known else None)


def test_no_moment_stays_none() -> None:
    assert known(None, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "due"), [(-7200, True), (-10, True), (-9, False), (0, False), (1, True), (7200, True)]
)
def test_what_is_done_again_and_again_is_due_unless_it_was_just_done(seconds: int, due: bool) -> None:
    assert is_due(NOW + timedelta(seconds=seconds), timedelta(seconds=10), NOW) is due
    assert is_due(None, timedelta(seconds=10), NOW)
