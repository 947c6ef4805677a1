"""How long somebody waits who keeps failing to sign in."""

from __future__ import annotations

FIRST = 15.0  # seconds


def wait_after(failures: int, allowed: int, longest: float) -> float:
    """Seconds from the last failure until the next attempt; each failure too many doubles them."""
    if failures < allowed:
        return 0.0
    return min(longest, FIRST * 2.0 ** min(failures - allowed, 20))
