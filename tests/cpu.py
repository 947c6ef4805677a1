"""How much a call may take of a processor, told so that a busy machine is no failure."""

from __future__ import annotations

import time
from collections.abc import Callable

TRIES = 5


def costs_less_than(seconds: float, call: Callable[[], object]) -> bool:
    """Whether the call takes less CPU time than that at least one time of a few."""
    return any(_cost(call) < seconds for _ in range(TRIES))


def _cost(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began
