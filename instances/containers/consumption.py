"""What a container used between two readings, also over restarts, and what is near its limit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from instances.containers.facts import ContainerUsage

COUNTERS = ("cpu_ns", "received", "sent", "block_read", "block_written", "periods", "throttled")
NEAR, AWAY = 0.9, 0.8  # of a limit
LOOKS = 3  # in a row, before something near its limit is told
MEMORY, PIDS, THROTTLED = "memory", "pids", "throttled"
MOST_OF_AN_HOUR = 0.5
LEAST_PERIODS = 600  # a minute of a container that was always busy


@dataclass(frozen=True)
class Spent:
    """What was used in a stretch of time: the counters' growth."""

    cpu_ns: int = 0
    received: int = 0
    sent: int = 0
    block_read: int = 0
    block_written: int = 0
    periods: int = 0
    throttled: int = 0


def spent(before: Mapping[str, int] | None, now: ContainerUsage, *, same_container: bool) -> Spent:
    """What was used since the reading `before`; nothing at the first one.

    Another container, and one that was started anew, began to count at zero: all it has counted since is
    new. What was used between the last reading and its end is not known.
    """
    if before is None:
        return Spent()
    counted = {name: getattr(now, name) for name in COUNTERS}
    is_same_run = same_container and all(counted[name] >= before[name] for name in COUNTERS)
    return Spent(**({name: counted[name] - before[name] for name in COUNTERS} if is_same_run else counted))


def near_limits(now: ContainerUsage, before: Mapping[str, int]) -> dict[str, int]:
    """How many readings in a row each limit has been near, given how many it had been `before`.

    What was near long enough to be told stays so until it is well away: one that goes up and down at
    its limit is one warning.
    """
    parts = {MEMORY: (now.memory, now.memory_limit), PIDS: (now.pids, now.pids_limit)}
    return {what: _near(used, limit, before.get(what, 0)) for what, (used, limit) in parts.items()}


def _near(used: int, limit: int, before: int) -> int:
    if limit and used > NEAR * limit:
        return min(before + 1, LOOKS)
    return before if limit and before >= LOOKS and used > AWAY * limit else 0


def was_throttled(periods: int, throttled: int) -> bool:
    """Whether the CPU limit held a container back most of an hour."""
    return periods >= LEAST_PERIODS and throttled > MOST_OF_AN_HOUR * periods
