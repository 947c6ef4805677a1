"""Who keeps failing waits longer each time, and never longer than the window."""

from __future__ import annotations

import pytest

from instances.lib.throttle import wait_after


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (9, 0), (10, 15), (11, 30), (13, 120), (16, 600), (10_000, 600)]
)
def test_each_failure_too_many_doubles_the_wait(failures: int, seconds: float) -> None:
    assert wait_after(failures, allowed=10, longest=600) == seconds
