"""What a container used between two readings, also over restarts, and what is near its limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from instances.containers.facts import ContainerUsage, DiskUse

COUNTERS = ("cpu_ns", "received", "sent", "block_read", "block_written", "periods", "throttled")
NEAR, AWAY = 0.9, 0.8  # of a limit
BELOW = 0.95  # of what a plan allows on disk, until it is told that there is room again
LOOKS = 3  # in a row, before something near its limit is told
MEMORY, PIDS, THROTTLED, DISK, OOM = "memory", "pids", "throttled", "disk", "oom"
MOST_OF_AN_HOUR = 0.5
LEAST_PERIODS = 600  # a minute of a container that was always busy
MOST_OF_A_READING = 2**45  # bytes or periods: a column holds a day of readings, whatever an engine says


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


def spent(
    before: Mapping[str, int] | None, now: ContainerUsage, *, same_container: bool, elapsed: float
) -> Spent:
    """What was used since the reading `before`, `elapsed` seconds ago; nothing at the first one.

    Another container, and one that was started anew, began to count at zero: all it has counted since is
    new. What was used between the last reading and its end is not known, and neither is what a counter
    that fell within the same run has counted. Bytes and periods are 2**45 at most, which no host reaches.
    """
    if before is None:
        return Spent()
    counted = {name: getattr(now, name) for name in COUNTERS}
    if same_container and not _began_anew(before, now, elapsed):
        counted = {name: max(0, counted[name] - before[name]) for name in COUNTERS}
    bounded = {name: min(counted[name], MOST_OF_A_READING) for name in COUNTERS[1:]}
    return Spent(cpu_ns=counted["cpu_ns"], **bounded)


def _began_anew(before: Mapping[str, int], now: ContainerUsage, elapsed: float) -> bool:
    """Whether a container was started since then.

    Bytes also fall when a network or a device leaves a container that runs on. A new run can't have used
    more CPU than there was since the last reading.
    """
    if now.cpu_ns < before["cpu_ns"]:
        return True
    has_fallen = any(getattr(now, name) < before[name] for name in COUNTERS)
    return has_fallen and now.cpu_ns <= elapsed * 1e9 * now.cpus


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


def on_disk(found: DiskUse, container_id: str, volumes: Iterable[str]) -> dict[str, int]:
    """Bytes by volume, under "" those of the container's own files; without what the engine did not tell."""
    own = {"": found.containers[container_id]} if container_id in found.containers else {}
    return {**own, **{name: found.volumes[name] for name in volumes if name in found.volumes}}


def above_disk(used: int, allowed: int | None, *, before: bool) -> bool:
    """Whether more is on disk than the plan allows; once above, until there is a little room again."""
    return allowed is not None and used > (BELOW * allowed if before else allowed)


def lived_on(state: str, started_at: datetime | None, killed_at: datetime) -> bool:
    """Whether a container of which the kernel killed a process goes on, so that it was not its first one."""
    return state == "running" and started_at is not None and started_at < killed_at


def was_started_again(state: str, started_at: datetime | None, killed_at: datetime) -> bool:
    """Whether it ended of that and runs again, by whoever started it."""
    return state == "running" and started_at is not None and started_at >= killed_at
