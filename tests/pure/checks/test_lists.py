"""What in a container list calls for a check."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from instances.checks.check_requests import CheckRequest
from instances.checks.lists import LastCheck, calls_for_check

REQUEST = CheckRequest(1, "c1", "id", "id", "http://h:1/", "auto", "unix:///e", listed="running")
WELL = LastCheck("healthy", "running", is_down=False)
DOWN = LastCheck("failed", "exited", is_down=True)


@pytest.mark.parametrize(
    ("listed", "image_health", "finding", "known", "odd"),
    [
        ("running", "", None, WELL, False),
        ("running", "healthy", None, WELL, False),
        ("running", "starting", None, WELL, False),
        ("running", "unhealthy", None, WELL, True),
        ("running", "unhealthy", None, DOWN, False),
        ("exited", "", None, WELL, True),
        ("missing", "", None, WELL, True),
        ("restarting", "", None, WELL, True),
        ("exited", "", None, DOWN, False),  # known: its re-check comes
        ("missing", "", None, DOWN, True),  # removed since
        ("running", "", None, DOWN, False),
        ("running", "", "renamed", WELL, True),
        ("running", "", "", WELL, True),  # put right
    ],
)
def test_what_is_new_and_odd_is_checked(
    listed: str, image_health: str, finding: str | None, known: LastCheck, odd: bool
) -> None:
    assert calls_for_check(replace(REQUEST, listed=listed, finding=finding), image_health, known) is odd
