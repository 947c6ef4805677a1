"""Failures of public addresses: who is at fault for many together, and who is asked next to find out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from instances.monitoring.outside_groups import EVERYWHERE, Place, Seen, grouped, to_hurry

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERY = timedelta(minutes=15)


def well(name: str, minutes: float = 5, **where: Any) -> Seen:
    """Asked so many minutes after the first failure."""
    usual = {"proxy": "203.0.113.7", "zone": "example.com", "host": "h1"}
    return Seen(name, NOON + timedelta(minutes=minutes), **{**usual, **where})


def fails(name: str, fault: str = "proxy", failures: int = 3, **where: Any) -> Seen:
    return replace(well(name, **where), is_well=False, fault=fault, failures=failures, since=NOON)


def found(looks: list[Seen], *known: Place) -> tuple[dict[Place, tuple[str, ...]], list[str]]:
    groups, single = grouped(looks, 3, EVERY, dict.fromkeys(known, NOON))
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
        # What lies behind the proxy explains more than the proxy does.
        ([*THREE, *(well(f"d{n}", host="h2") for n in range(2))], {HOST: ("a", "b", "c")}, []),
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


def test_a_group_goes_on_until_so_few_are_left_that_it_is_theirs() -> None:
    three = [replace(look, failures=9) for look in THREE]
    others = [well(f"w{n}") for n in range(9)]
    back = [well("r", recovered_at=NOON + timedelta(minutes=7))]
    assert found([*three, *others], PROXY) == ({PROXY: ("a", "b", "c")}, [])
    assert found([*three, *others]) == ({}, ["a", "b", "c"])
    assert found([three[0], *others], PROXY) == ({PROXY: ("a",)}, []), "nobody got through again yet"
    assert found([three[0], *others, *back], PROXY) == ({PROXY: ("a",)}, []), "not asked since one did"
    left = replace(three[0], asked_at=NOON + timedelta(minutes=8))
    assert found([left, *others, *back], PROXY) == ({}, ["a"])
    later = replace(left, failures=1, since=NOON + timedelta(minutes=8))
    assert found([later, *others, *back], PROXY) == ({}, []), "who fails after that has his own reason"
    assert found(others, PROXY) == ({}, [])
    assert found([*THREE[:1], fails("x", **ELSEWHERE)], EVERYWHERE) == ({EVERYWHERE: ("a", "x")}, [])
    assert found([*THREE, *OTHERS], EVERYWHERE) == ({PROXY: ("a", "b", "c")}, [])


def test_what_is_known_gives_way_to_what_explains_it_much_better() -> None:
    of_host = [fails(f"a{n}") for n in range(9)]
    assert found([*of_host, *(well(f"w{n}", host="h2") for n in range(3))], PROXY)[0].keys() == {PROXY}
    assert found([*of_host, *(well(f"w{n}", host="h2") for n in range(6))], PROXY)[0].keys() == {HOST}


def spread(number: int) -> list[dict[str, Any]]:
    """Customers of two proxies, three zones and two hosts."""
    return [
        {"proxy": f"203.0.113.{n % 2}", "zone": f"z{n % 3}.org", "host": f"h{n // (number // 2)}"}
        for n in range(number)
    ]


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        (("proxy", "203.0.113.1"), "proxy"), (("proxy", "203.0.113.0"), "tls"), (("zone", "z1.org"), "tls"),
        (("zone", "z2.org"), "dns"), (("host", "h0"), "proxy"), (("host", "h1"), "tls"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("single", [False, True])
def test_at_fault_is_what_all_who_fail_share_and_nobody_who_gets_through(
    place: Place, fault: str, single: bool
) -> None:
    looks = []
    for number, where in enumerate(spread(24)):
        is_there = where[place[0]] == place[1]
        shown = (
            where if not single else {**where, **({"proxy": "203.0.113.9"} if place[0] != "proxy" else {})}
        )
        looks.append(fails(f"c{number}", fault, **shown) if is_there else well(f"c{number}", **shown))
    groups, alone = found(looks)
    assert (list(groups), alone) == ([place], [])


def test_who_failed_long_before_stays_by_himself_and_hides_nothing() -> None:
    yesterday = replace(fails("old", failures=30), since=NOON - timedelta(days=1))
    unasked = [well(f"w{n}", -5) for n in range(30)]
    assert found([yesterday, *THREE, *unasked, *OTHERS]) == ({PROXY: ("a", "b", "c")}, ["old"])
    all_away = [*THREE, fails("x", **ELSEWHERE), yesterday, *unasked]
    assert list(found(all_away)[0]) == [EVERYWHERE]


def test_ten_who_begin_to_fail_at_once_are_one_trouble_though_most_get_through() -> None:
    others = [well(f"w{n}") for n in range(90)]
    ten = [replace(fails(f"a{n}"), since=NOON + timedelta(minutes=n / 10)) for n in range(10)]
    [group], alone = grouped([*ten, *others], 3, EVERY)
    assert (group.place, len(group.customers), group.of, alone) == (PROXY, 10, 100, [])
    assert found([*ten[:9], *others])[0] == {}
    slowly = [replace(look, since=NOON - timedelta(minutes=10 * n)) for n, look in enumerate(ten)]
    assert found([*slowly, *others])[0] == {}


def hurried(looks: list[Seen], *opened: Place, minutes: float = 10) -> list[str]:
    groups, _ = grouped(looks, 3, EVERY, dict.fromkeys(opened, NOON))
    return to_hurry(groups, looks, opened, NOON + timedelta(minutes=minutes))


def test_who_shares_a_place_with_one_who_fails_again_is_asked_few_at_a_time() -> None:
    before = [well(f"w{n}", -n, **ELSEWHERE) for n in range(1, 9)]
    shared = {**ELSEWHERE, "proxy": "192.0.2.1"}
    assert hurried([fails("a", failures=1, **ELSEWHERE), *before]) == []
    assert hurried([fails("a", failures=2, **ELSEWHERE), *before]) == ["w5", "w6", "w7", "w8"]
    assert hurried([fails("a", failures=2, **shared), well("v", **shared), *before]) == ["w6", "w7", "w8"]
    assert hurried([fails("a", "unknown", failures=2, **ELSEWHERE), *before]) == []


def test_who_still_fails_is_asked_when_others_get_through_again_twice_a_minute_at_most() -> None:
    back = well("r", 9, recovered_at=NOON + timedelta(minutes=9))
    assert hurried([*THREE, *OTHERS], PROXY) == []
    assert hurried([*THREE, back, *OTHERS], PROXY) == ["a", "b", "c"]
    assert hurried([*THREE, back, *OTHERS], PROXY, minutes=5.4) == []
    alone = [fails("x", **ELSEWHERE), back]
    assert hurried(alone, EVERYWHERE) == ["x"], "what is over no longer says whom to ask"
