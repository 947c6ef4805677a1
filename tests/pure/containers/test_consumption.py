"""Usage adds up over restarts, and what goes up and down at its limit is one warning."""

from __future__ import annotations

import pytest

from instances.containers.consumption import COUNTERS, Spent, near_limits, spent, was_throttled
from instances.containers.facts import ContainerUsage


def counted(cpu: int, net: int = 0) -> dict[str, int]:
    return {**dict.fromkeys(COUNTERS, 0), "cpu_ns": cpu, "received": net}


@pytest.mark.parametrize(
    ("before", "now", "same", "used"),
    [
        (None, (500, 9), True, (0, 0)),  # the first reading of all: nobody knows since when
        (counted(100, 5), (500, 9), True, (400, 4)),
        (counted(100, 5), (100, 5), True, (0, 0)),
        (counted(100, 5), (20, 7), True, (20, 7)),  # started anew: all of its counters begin at zero
        (counted(100, 5), (120, 2), True, (120, 2)),
        (counted(100, 5), (300, 9), False, (300, 9)),  # made anew
    ],
)
def test_counters_add_up(
    before: dict[str, int] | None, now: tuple[int, int], same: bool, used: tuple[int, int]
) -> None:
    usage = ContainerUsage(cpu_ns=now[0], received=now[1])
    assert spent(before, usage, same_container=same) == Spent(cpu_ns=used[0], received=used[1])


@pytest.mark.parametrize(
    ("memory", "near"),
    [
        ((50, 91, 92), [0, 1, 2]),
        ((91, 92, 93, 99), [1, 2, 3, 3]),
        ((91, 85, 91), [1, 0, 1]),
        ((91, 91, 91, 85, 91, 80, 91), [1, 2, 3, 3, 3, 0, 1]),
    ],
)
def test_three_readings_near_a_limit_are_told_until_it_is_well_away(
    memory: tuple[int, ...], near: list[int]
) -> None:
    known: dict[str, int] = {}
    seen = []
    for value in memory:
        known = near_limits(ContainerUsage(memory=value, memory_limit=100, pids=99), known)
        seen.append(known["memory"])
    assert (seen, known["pids"]) == (near, 0), "without a limit nothing is near it"


@pytest.mark.parametrize(
    ("periods", "throttled", "told"), [(36_000, 18_001, True), (36_000, 18_000, False), (599, 599, False)]
)
def test_cpu_is_told_when_the_limit_held_it_back_most_of_an_hour(
    periods: int, throttled: int, told: bool
) -> None:
    assert was_throttled(periods, throttled) is told
