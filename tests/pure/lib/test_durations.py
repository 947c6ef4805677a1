"""Times as people and programs write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from instances.lib.durations import moment

SUMMER = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-01T10:30:00Z",
        "2026-07-01t10:30:00z",
        "2026-07-01 12:30:00.0+02:00",
        "2026-07-01T10:30:00-00:00",
    ],
)
def test_every_form_of_rfc_3339_is_that_moment(text: str) -> None:
    assert moment(text) == SUMMER


@pytest.mark.parametrize("text", ["2026-07-01T10:30:00", "2026-07-01", "2026-02-30T10:30:00Z", "z", "", None])
def test_what_has_no_zone_or_is_no_time_is_none(text: object) -> None:
    assert moment(text) is None
