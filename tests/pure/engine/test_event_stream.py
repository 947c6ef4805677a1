"""Events of an engine as they come off the wire: cut anywhere, and not to be trusted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.containers.facts import ContainerEvent
from instances.engine.event_stream import LONGEST_LINE, asked_for, container_events


def line(
    action: object = "die", container: object = "abc", at: object = 5, exit_code: object = None
) -> bytes:
    told = {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": container, "Attributes": {"exitCode": exit_code}},
        "timeNano": at,
    }
    return json.dumps(told).encode() + b"\n"


ODD = [
    b"\n", b"null\n", b"[]\n", b"{}\n", b"not json\n", b'{"Action": 3}\n', b"\xff\xfe\n",
    b"[" * 100_000 + b"\n",
    line(action=""), line(container=None), line(container={}), line(at="soon"), line(at=None),
]  # fmt: skip


@given(st.integers(1, 200))
def test_however_the_stream_is_cut_events_are_whole(size: int) -> None:
    wire = b"".join(
        [line("die", "a", 1), *ODD[:-6], line("health_status: unhealthy", "b", 2), line("oom", "c", 3)]
    )
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    assert list(container_events(chunks)) == [
        ContainerEvent("a", "die", 1),
        ContainerEvent("b", "health_status: unhealthy", 2),
        ContainerEvent("c", "oom", 3),
    ]


@pytest.mark.parametrize(
    ("told", "read"),
    [("0", 0), ("137", 137), (None, None), ("", None), ("-1", None), ("²", None), ("1" * 9, None)],
)
def test_a_death_tells_its_exit_code(told: object, read: int | None) -> None:
    assert list(container_events([line(exit_code=told)])) == [ContainerEvent("abc", "die", 5, read)]


def test_podman_has_words_of_its_own_for_a_container_that_ends_or_is_removed() -> None:
    assert list(container_events([line("remove")])) == [ContainerEvent("abc", "destroy", 5)]
    assert {"remove", "died"} <= set(json.loads(asked_for(None)["filters"])["event"])


def test_what_can_not_be_read_is_left_out() -> None:
    assert list(container_events(ODD)) == []


def test_a_container_that_left_a_network_is_told_of_and_the_network_is_not() -> None:
    told = {
        "Type": "network",
        "Action": "disconnect",
        "Actor": {"ID": "n1", "Attributes": {"container": "abc"}},
        "timeNano": 5,
    }
    removed = {**told, "Action": "destroy", "Actor": {"ID": "n1", "Attributes": {"name": "x"}}}
    odd = {**told, "Actor": {"ID": "n1", "Attributes": {"container": 5}}}
    wire = b"".join(json.dumps(each).encode() + b"\n" for each in (removed, told, odd))
    assert list(container_events([wire])) == [ContainerEvent("abc", "disconnect", 5)]


def test_a_line_without_an_end_is_not_collected() -> None:
    endless = [b"x" * LONGEST_LINE] * 50
    assert list(container_events([*endless, b"\n", line()])) == [ContainerEvent("abc", "die", 5)]


def test_a_moment_is_asked_for_to_the_nanosecond() -> None:
    assert asked_for(1_700_000_000_000_000_007)["since"] == "1700000000.000000007"
    assert "since" not in asked_for(None)
    assert json.loads(asked_for(None)["filters"])["type"] == ["container", "network"]
