"""Ports on loopback: none is assumed free, and one that was lost in between is given up for another."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

from dev.servers.failures import PortLost

T = TypeVar("T")
ATTEMPTS = 5


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_free_port(start: Callable[[int], T]) -> T:
    """What `start` returns for a free port; tries another port when `start` raises `PortLost`."""
    for _ in range(ATTEMPTS - 1):
        try:
            return start(free_port())
        except PortLost:
            continue
    return start(free_port())
