"""Where a published port is asked: at an address it has, or may have."""

from __future__ import annotations

import pytest

from instances.containers.published import Binding, best, bindings, is_there, may_be

# (where it is published, where dockmgr asks): whether that is the place, whether it may be
PLACES = {
    ("0.0.0.0", "127.0.0.1"): (True, True),
    ("::", "10.0.0.5"): (True, True),
    ("", "10.0.0.5"): (True, True),
    ("127.0.0.1", "127.0.0.1"): (True, True),
    ("172.29.7.1", "127.0.0.1"): (False, False),
    ("127.0.0.1", "10.0.0.5"): (False, False),
    ("127.0.0.2", "127.0.0.1"): (False, False),
    ("127.0.0.1", "localhost"): (False, True),
    ("172.29.7.1", "localhost"): (False, False),
    ("10.0.0.5", "203.0.113.9"): (False, True),
    ("10.0.0.5", "docker1.example.com"): (False, True),
    ("127.0.0.1", "docker1.example.com"): (False, False),
    ("::1", "::1"): (True, True),
    ("fd00::1", "::1"): (False, False),
}  # fmt: skip


@pytest.mark.parametrize(("pair", "expected"), PLACES.items(), ids=map(str, PLACES))
def test_what_is_published_elsewhere_is_told_from_what_may_be_translated(
    pair: tuple[str, str], expected: tuple[bool, bool]
) -> None:
    place = Binding(pair[0], 8080)
    assert (is_there(place, pair[1]), may_be(place, pair[1])) == expected


def test_of_several_places_the_one_where_dockmgr_asks_is_taken() -> None:
    bound = [
        {"HostIp": "172.29.7.1", "HostPort": "18081"},
        {"HostIp": "127.0.0.1", "HostPort": "18082"},
        {"HostIp": "10.0.0.5", "HostPort": "x"},
    ]
    places = bindings({"NetworkSettings": {"Ports": {"8080/tcp": bound}}}, 8080)
    assert places == [Binding("172.29.7.1", 18081), Binding("127.0.0.1", 18082)]
    assert best(places, "127.0.0.1") == places[1]
    assert best(places[:1], "127.0.0.1") == places[0]
    assert best([], "127.0.0.1") is None
