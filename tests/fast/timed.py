"""A probe that is held to its promise about time, by both ways of asking."""

from __future__ import annotations

import time
from concurrent.futures import Future
from functools import cache

from msgspec.structs import replace

from instances.health.response import Expect
from instances.http.many_probes import ManyProbes, Then, probe_request
from instances.http.probe import Address, ProbeResult, probe

TIMEOUT = 0.1
PATIENCE = 30.0  # for looks that end by themselves
MARGIN = 10.0  # a busy machine is late; what hangs is later


def timed_probe(url: str, timeout: float = PATIENCE, expect: Expect = Expect.AUTO) -> ProbeResult:
    """Probe, and insist on the promise that the timeout covers the whole look.

    What can be asked beside many others as well has to get the same result there, at the same time.
    """
    address, began = Address(url, expect), time.monotonic()
    beside = begun_beside_others(address, timeout) if probe_request(address) else None
    result = _held(probe(address, timeout), began, timeout)
    if beside is not None:
        other = _held(beside.result(max(timeout, 0) + MARGIN), began, timeout)
        assert replace(other, latency_ms=0) == replace(result, latency_ms=0)
    return result


def begun_beside_others(address: Address, timeout: float) -> Future[ProbeResult]:
    """One look by the thread that makes many."""
    future: Future[ProbeResult] = Future()
    question = probe_request(address)
    assert question
    then: Then = lambda result, _seconds: future.set_result(result)  # noqa: E731
    many_probes(timeout).line_up(question.target.host, lambda: (question, then))
    return future


@cache
def many_probes(timeout: float) -> ManyProbes:
    """Its thread and its descriptors stay until the tests end."""
    many = ManyProbes(timeout)
    many.line_up("nobody", lambda: None)
    return many


def _held(result: ProbeResult, began: float, timeout: float) -> ProbeResult:
    seconds = time.monotonic() - began
    assert seconds < max(timeout, 0) + MARGIN
    assert 0 <= result.latency_ms <= seconds * 1000
    assert bool(result.error) == bool(result.reason)
    return result
