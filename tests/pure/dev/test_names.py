"""The name server of the trial of public addresses: who is known, who is gone, and who does not answer."""

from __future__ import annotations

import socket

import pytest

from bench.names import answer, asked_name

KNOWN = {"names": {"c1.blue.example": "9.1.1.1"}}
NAME = b"\2c1\4blue\7example\0"


def question(kind: int = 1, name: bytes = NAME) -> bytes:
    return b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + name + b"\0" + bytes([kind]) + b"\0\1"


@pytest.mark.parametrize(
    ("otherwise", "code", "answers"),
    [
        ({}, 0, 1),
        ({"gone": ["c1.blue.example"]}, 3, 0),
        ({"gone": ["blue.example"]}, 3, 0),
        ({"gone": ["green.example"], "away": ["green.example"]}, 0, 1),
        ({"away": ["blue.example"]}, 2, 0),
        ({"names": {}}, 3, 0),
    ],
)
def test_it_says_what_it_is_told_to(otherwise: dict[str, object], code: int, answers: int) -> None:
    said = answer(question(), {**KNOWN, **otherwise})
    assert (said[:2], said[3] & 15, said[7]) == (b"\x12\x34", code, answers)
    if answers:
        assert said.endswith(socket.inet_aton("9.1.1.1"))


def test_it_has_no_addresses_of_the_newer_kind_and_may_keep_silent() -> None:
    assert asked_name(question()) == "c1.blue.example"
    newer = answer(question(kind=28), KNOWN)
    assert (newer[3] & 15, newer[7]) == (0, 0)
    assert answer(question(), {**KNOWN, "silent": True}) == b""
