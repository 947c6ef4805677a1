"""How lengths of time and moments are written, as commands, forms and the API take them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.errors import RequestError
from instances.lib import durations

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAST: dict[str, datetime] = {
    "30s": NOW - timedelta(seconds=30),
    "10m": NOW - timedelta(minutes=10),
    "2h": NOW - timedelta(hours=2),
    "1d": NOW - timedelta(days=1),
    "0s": NOW,
    "2026-03-01T11:00:00Z": NOW - timedelta(hours=1),
    "2026-03-01T13:00:00+02:00": NOW - timedelta(hours=1),
}
NO_TIME = (
    "", "soon", "yesterday", "10", "5x", "-5m", "-1h", "1.5h", "10 m", "٣m", "999999d", "2026-03-01",
    "2026-03-01T12:00:00", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", None, 7,
)  # fmt: skip


@pytest.mark.parametrize(("text", "moment"), PAST.items())
def test_a_time_is_a_length_ago_or_a_moment_with_its_zone(text: str, moment: datetime) -> None:
    assert durations.past(text, NOW) == moment


@pytest.mark.parametrize("text", NO_TIME)
def test_what_is_neither_is_refused(text: object) -> None:
    with pytest.raises(RequestError, match=r"^The time must be like 30s, 10m, 2h, 1d or an RFC 3339 time"):
        durations.past(text, NOW)
