"""A probe that is held to its promise about time."""

from __future__ import annotations

import time

from instances.health.response import Expect
from instances.http.probe import Address, ProbeResult, probe

TIMEOUT = 0.15
PATIENCE = 30.0  # for looks that end by themselves
MARGIN = 10.0  # a busy machine is late; what hangs is later


def timed_probe(url: str, timeout: float = PATIENCE, expect: Expect = Expect.AUTO) -> ProbeResult:
    """Probe, and insist on the promise that the timeout covers the whole look."""
    started = time.monotonic()
    result = probe(Address(url, expect), timeout)
    seconds = time.monotonic() - started
    assert seconds < max(timeout, 0) + MARGIN
    assert 0 <= result.latency_ms <= seconds * 1000
    assert bool(result.error) == bool(result.reason)
    return result
