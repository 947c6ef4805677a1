"""Usage adds up over restarts, and what goes up and down at its limit is one warning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.containers.consumption import (
    COUNTERS,
    Spent,
    above_disk,
    lived_on,
    near_limits,
    on_disk,
    spent,
    was_started_again,
    was_throttled,
)
from instances.containers.facts import ContainerUsage, DiskUse

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def counted(cpu: int, net: int = 0) -> dict[str, int]:
    return {**dict.fromkeys(COUNTERS, 0), "cpu_ns": cpu, "received": net}


@pytest.mark.parametrize(
    ("before", "now", "same", "used"),
    [
        (None, (500, 9), True, (0, 0)),  # the first reading of all: nobody knows since when
        (counted(100, 5), (500, 9), True, (400, 4)),
        (counted(100, 5), (100, 5), True, (0, 0)),
        (counted(100, 5), (20, 7), True, (20, 7)),  # started anew: all of its counters begin at zero
        (counted(100, 5), (120, 2), True, (120, 2)),  # and has had the time to use more CPU than before
        (counted(100, 5), (130, 2), True, (30, 0)),  # it has not: one of its networks was taken away
        (counted(100, 5), (300, 9), False, (300, 9)),  # made anew
    ],
)
def test_counters_add_up(
    before: dict[str, int] | None, now: tuple[int, int], same: bool, used: tuple[int, int]
) -> None:
    usage = ContainerUsage(cpu_ns=now[0], received=now[1], cpus=2)
    found = spent(before, usage, same_container=same, elapsed=60.5e-9)
    assert found == Spent(cpu_ns=used[0], received=used[1])


def test_where_the_cpus_are_not_known_only_less_cpu_is_a_new_run() -> None:
    now = ContainerUsage(cpu_ns=120, received=2)
    assert spent(counted(100, 5), now, same_container=True, elapsed=60) == Spent(cpu_ns=20)


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


def test_what_is_on_disk_is_told_by_volume_and_only_what_is_known() -> None:
    found = DiskUse({"id": 7, "other": 9}, {"c1-data": 100, "c2-data": 200})
    assert on_disk(found, "id", ["c1-data", "c1-gone"]) == {"": 7, "c1-data": 100}
    assert on_disk(found, "", ["c1-data"]) == {"c1-data": 100}
    assert on_disk(DiskUse(), "id", ["c1-data"]) == {}


@pytest.mark.parametrize(
    ("used", "allowed", "before", "above"),
    [
        (101, 100, False, True),
        (100, 100, False, False),
        (96, 100, True, True),  # up and down at its limit is one warning
        (95, 100, True, False),
        (10**12, None, True, False),
    ],
)
def test_disk_is_told_above_what_the_plan_allows_until_there_is_room_again(
    used: int, allowed: int | None, before: bool, above: bool
) -> None:
    assert above_disk(used, allowed, before=before) is above


@pytest.mark.parametrize(
    ("state", "started", "lives", "again"),
    [
        ("running", -1, True, False),
        ("running", 0, False, True),
        ("running", 1, False, True),
        ("exited", -1, False, False),
        ("exited", 1, False, False),
        ("restarting", -1, False, False),
    ],
)
def test_a_container_that_was_started_after_the_kill_has_died_of_it(
    state: str, started: int, lives: bool, again: bool
) -> None:
    at = NOON + timedelta(seconds=started)
    assert (lived_on(state, at, NOON), was_started_again(state, at, NOON)) == (lives, again)
    assert not lived_on(state, None, NOON) and not was_started_again(state, None, NOON)
