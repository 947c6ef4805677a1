"""Failures of public addresses: who is at fault for many together, when to look again, what ends soon."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instances.health.response import Outcome
from instances.monitoring.outside_rules import (
    EVERYWHERE,
    Place,
    Seen,
    grouped,
    inside_view,
    is_worrying,
    next_look,
    zone_of,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)


def well(name: str, minutes: float = 5, **where: Any) -> Seen:
    """Asked so many minutes after the first failure."""
    usual = {"proxy": "203.0.113.7", "zone": "example.com", "host": "h1"}
    return Seen(name, NOON + timedelta(minutes=minutes), **{**usual, **where})


def fails(name: str, fault: str = "proxy", failures: int = 3, **where: Any) -> Seen:
    return replace(well(name, **where), is_well=False, fault=fault, failures=failures, since=NOON)


def found(looks: list[Seen], known: tuple[Place, ...] = ()) -> tuple[dict[Place, tuple[str, ...]], list[str]]:
    groups, single = grouped(looks, 3, known)
    return {group.place: group.customers for group in groups}, [look.customer_id for look in single]


PROXY, ZONE, HOST = ("proxy", "203.0.113.7"), ("zone", "example.com"), ("host", "h1")
THREE = [fails(name) for name in "abc"]
ELSEWHERE: dict[str, Any] = {"proxy": "198.51.100.1", "zone": "example.org", "host": "h2"}
OTHERS = [well(f"w{n}", **ELSEWHERE) for n in range(9)]


@pytest.mark.parametrize(
    ("looks", "groups", "single"),
    [
        ([well("a"), well("b")], {}, []),
        ([fails("a"), well("b")], {}, ["a"]),
        ([fails("a", failures=2), well("b")], {}, []),  # not confirmed yet
        ([fails("a", "unknown"), fails("b", "app"), well("c")], {}, []),  # told by those who look inside
        ([*THREE, *OTHERS], {PROXY: ("a", "b", "c")}, []),
        ([*THREE, well("d"), well("e"), *OTHERS], {PROXY: ("a", "b", "c")}, []),
        ([*THREE, well("d"), well("e"), well("f")], {}, ["a", "b", "c"]),  # half of them get through
        # What was well before the first failure says nothing about now.
        ([*THREE, *(well(f"o{n}", -1) for n in range(9)), *OTHERS], {PROXY: ("a", "b", "c")}, []),
        # Who failed once belongs to it, but does not make it.
        ([*THREE, fails("d", failures=1), *OTHERS], {PROXY: ("a", "b", "c", "d")}, []),
        ([fails("a"), fails("b"), fails("c", failures=1), *OTHERS], {}, ["a", "b"]),
        # The nearest that they share: one proxy has several zones.
        ([fails("a"), fails("b", zone="z"), fails("c", zone="y"), *OTHERS], {PROXY: ("a", "b", "c")}, []),
        (
            [*(fails(n, proxy=f"203.0.113.{i}") for i, n in enumerate("abc")), *OTHERS],
            {ZONE: ("a", "b", "c")},
            [],
        ),
        # A host behind a proxy of many.
        (
            [*THREE, *(well(f"w{n}", host="h2") for n in range(9))],
            {HOST: ("a", "b", "c")},
            [],
        ),
        ([*(fails(n, "dns", proxy="") for n in "abc"), *OTHERS], {ZONE: ("a", "b", "c")}, []),
        # A zone that is away is not the fault of the proxy that was known for its names.
        ([*(fails(n, "dns", zone=f"{n}.de") for n in "abc"), *OTHERS], {}, ["a", "b", "c"]),
        ([*(fails(n, "tls") for n in "abc"), *OTHERS], {PROXY: ("a", "b", "c")}, []),
        ([*THREE, fails("x", **ELSEWHERE), *OTHERS], {PROXY: ("a", "b", "c")}, ["x"]),
        # Nobody gets through anywhere.
        ([*THREE, fails("x", **ELSEWHERE)], {EVERYWHERE: ("a", "b", "c", "x")}, []),
        ([*THREE, fails("x", **ELSEWHERE), well("w", -1)], {EVERYWHERE: ("a", "b", "c", "x")}, []),
        ([*THREE], {PROXY: ("a", "b", "c")}, []),  # all that there are share a proxy
    ],
)
def test_what_many_share_is_one_trouble(
    looks: list[Seen], groups: dict[Place, tuple[str, ...]], single: list[str]
) -> None:
    assert found(looks) == (groups, single)


def test_a_group_goes_on_until_nobody_in_it_fails() -> None:
    left = [fails("a", failures=9), *(well(f"w{n}") for n in range(20))]
    assert found(left, (PROXY,)) == ({PROXY: ("a",)}, [])
    assert found(left) == ({}, ["a"])
    assert found(left[1:], (PROXY,)) == ({}, [])
    assert found([*THREE[:1], fails("x", **ELSEWHERE)], (EVERYWHERE,)) == ({EVERYWHERE: ("a", "x")}, [])
    assert found([*THREE, *OTHERS], (EVERYWHERE,)) == ({PROXY: ("a", "b", "c")}, [])


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 15), (1, 1), (2, 1), (3, 1), (4, 2), (5, 4), (6, 8), (7, 15), (10**6, 15)]
)
def test_what_fails_is_asked_sooner_and_then_less_and_less_often(failures: int, minutes: float) -> None:
    assert next_look(failures, EVERY) == timedelta(minutes=minutes)
    assert next_look(failures, timedelta(seconds=30)) == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("c1.example.com", "example.com"), ("example.com", "example.com"),
        ("a.b.example.com.", "b.example.com"),
        ("localhost", "localhost"), ("203.0.113.7", ""), ("::1", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_zone_is_the_domain_above(host: str, zone: str) -> None:
    assert zone_of(host) == zone


@pytest.mark.parametrize(
    ("life", "left", "worrying"),
    [
        (90, 14, False),
        (90, 13.9, True),
        (365, 20, False),
        (365, 13, True),
        (7, 6, False),  # renewed each day or two
        (7, 2.4, False),
        (7, 2.3, True),
        (90, -1, True),
    ],
)
def test_a_certificate_is_told_when_it_ends_soon_and_should_have_been_renewed(
    life: float, left: float, worrying: bool
) -> None:
    ends = NOON + timedelta(days=left)
    assert is_worrying(ends - timedelta(days=life), ends, NOON, 14) is worrying


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("healthy", Outcome.OK), ("starting", Outcome.STARTING), ("restarting", Outcome.STARTING),
        ("suspect", Outcome.FAIL), ("unhealthy", Outcome.FAIL), ("failed", Outcome.FAIL),
        ("unknown", Outcome.UNKNOWN), ("paused", Outcome.UNKNOWN),
    ],
)  # fmt: skip
def test_what_the_last_check_says_is_the_view_from_inside(status: str, outcome: Outcome) -> None:
    assert inside_view(status, "refused", "No.").outcome is outcome
