"""How often to try again, and how long to wait before: data and one function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Retry:
    """`tries` in all, the first included; waits grow from `first` by `factor`, at most `longest` seconds.

    `spread` is the part of a wait by which the caller's jitter may change it.
    """

    tries: int = 1
    first: float = 0.0
    factor: float = 2.0
    longest: float = 60.0
    spread: float = 0.0


def wait_before_next(retry: Retry, tries_done: int, jitter: float = 0.0) -> float | None:
    """Seconds until the next try, or None when the tries are used up. `jitter` is drawn from -1..1."""
    if tries_done >= retry.tries:
        return None
    growth = retry.factor ** min(tries_done - 1, 64)  # beyond that every wait is the longest
    wait = min(retry.longest, retry.first * growth)
    return wait * (1 + retry.spread * jitter)
