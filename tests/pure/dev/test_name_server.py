"""The name server of trials knows no name."""

from __future__ import annotations

from dev.engines.name_server import answer

NAME = b"\x03www\x07invalid\0"
TYPE_AND_CLASS = b"\0\1\0\1"


def test_each_name_does_not_exist() -> None:
    extra = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"  # what newer resolvers add
    question = b"\xab\xcd\x01\0\0\1\0\0\0\0\0\1" + NAME + TYPE_AND_CLASS + extra
    told = answer(question)
    assert told == b"\xab\xcd\x81\x83\0\1\0\0\0\0\0\0" + NAME + TYPE_AND_CLASS
    assert told[3] & 0x0F == 3


def test_what_is_no_question_gets_no_answer() -> None:
    assert answer(b"\xab\xcd\x01") == b""
