"""Which host a new instance goes to, why another was not chosen, and which port it gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from instances.operations.placement_rules import GB, Room, in_order, ports_in_order, reasons, why_not

REFUSED = [
    (Room("a"), ""),
    (Room("a", instances=900, promised=900 * GB), ""),
    (Room("a", cordoned=True), "is cordoned"),
    (Room("a", instances=2, max_instances=3), ""),
    (Room("a", instances=3, max_instances=3), "holds its 3 instances"),
    (Room("a", max_instances=0), "holds its 0 instances"),
    (Room("a", promised=62 * GB, max_memory=64 * GB), ""),
    (
        Room("a", promised=63 * GB, max_memory=64 * GB),
        "has promised 63 GB of its 64 GB of memory, and 2 GB more are too many",
    ),
    (Room("a", promised=94 * GB, max_memory=64 * GB, overcommit=1.5), ""),
    (
        Room("a", promised=95 * GB, max_memory=64 * GB, overcommit=1.5),
        "has promised 95 GB of its 64 GB times 1.5 of memory, and 2 GB more are too many",
    ),
    (Room("a", promised=31 * GB, max_memory=64 * GB, overcommit=0.5), "times 0.5"),
]


@pytest.mark.parametrize(("room", "why"), REFUSED)
def test_why_a_host_can_not_have_it(room: Room, why: str) -> None:
    found = why_not(room, 2 * GB)
    assert (found == why) if not why.startswith("times") else (why in found)


ORDERS = [
    ([Room("b", 1), Room("a", 2)], "b a"),
    ([Room("b", 1), Room("a", 1)], "a b"),
    ([Room("a", 1, promised=4 * GB), Room("b", 1, promised=2 * GB)], "b a"),
    (
        [Room("small", 1, 8 * GB, max_memory=16 * GB), Room("large", 4, 16 * GB, max_memory=64 * GB)],
        "large small",
    ),
    ([Room("known", 1, 8 * GB, max_memory=16 * GB), Room("other", 2)], "known other"),
    ([Room("a", cordoned=True), Room("b", 5), Room("c", 1, max_instances=1)], "b"),
]


@pytest.mark.parametrize(("rooms", "names"), ORDERS)
def test_the_best_host_comes_first(rooms: list[Room], names: str) -> None:
    assert " ".join(room.name for room in in_order(rooms, 2 * GB)) == names


def test_each_host_is_told_in_one_clause() -> None:
    rooms = [Room("a", cordoned=True), Room("b", 3, max_instances=3), Room("c", silent=True), Room("d")]
    assert reasons(rooms, GB) == "a is cordoned; b holds its 3 instances; c: its engine does not answer"


def test_ports_are_used_again_the_longest_ago_first() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    freed = {20001: now, 20003: now - timedelta(days=1), 30000: now}
    assert list(ports_in_order(20000, 20005, {20000}, freed)) == [20002, 20004, 20005, 20003, 20001]
    assert list(ports_in_order(20000, 20005, {20000}, freed, after=20002)) == [20004, 20005, 20003, 20001]
    assert list(ports_in_order(20000, 20005, (), {}, after=20003)) == [20004, 20005, 20000, 20001, 20002]
    assert list(ports_in_order(20000, 20002, (), {}, after=40000)) == [20000, 20001, 20002]
