"""A stored time that lies in the future says nothing; clocks may differ by a few seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.lib.clock import known

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "is_known"), [(-7200, True), (0, True), (5, True), (6, False), (7200, False)]
)
def test_a_moment_is_known_unless_it_lies_in_the_future(seconds: int, is_known: bool) -> None:
    moment = NOW + timedelta(seconds=seconds)
    assert known(moment, NOW) == (moment if is_known else None)


def test_no_moment_stays_none() -> None:
    assert known(None, NOW) is None
