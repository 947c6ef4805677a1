"""Whatever was written outside becomes what every database takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.lib.storable import DEEPEST, MARK, nested, text

TEXTS = {
    "plain": ("as it is", "as it is"),
    "empty": ("", ""),
    "a zero byte": ("a\0b", f"a{MARK}b"),
    "half of a pair": ("a\ud83d", f"a{MARK}"),
    "halves the wrong way round": ("\ude00\ud83d", MARK * 2),
    "beyond the first plane": ("😀", "😀"),
    "what only looks like an escape": ("a\\u0000b", "a\\u0000b"),
    "other control characters": ("a\x01\x1b[31m\x7f", "a\x01\x1b[31m\x7f"),
}
VALUES = {
    "nothing": (None, None),
    "numbers": ([1, 2.5, True], [1, 2.5, True]),
    "no number": ({"a": [float("nan"), float("inf"), -float("inf")]}, {"a": [None, None, None]}),
    "texts far inside": ({"a": [{"b": "c\0"}]}, {"a": [{"b": f"c{MARK}"}]}),
    "names": ({"a\0": 1}, {f"a{MARK}": 1}),
    "names that are numbers": ({1: "a"}, {1: "a"}),
    "a tuple": (("a\0",), [f"a{MARK}"]),
}


@pytest.mark.parametrize(("given_text", "kept"), TEXTS.values(), ids=TEXTS)
def test_a_text_keeps_all_but_what_no_database_takes(given_text: str, kept: str) -> None:
    assert text(given_text) == kept


@pytest.mark.parametrize(("value", "kept"), VALUES.values(), ids=VALUES)
def test_so_do_the_texts_inside_of_json(value: Any, kept: Any) -> None:
    assert nested(value) == kept


def test_a_text_is_cut_only_where_that_is_asked_for() -> None:
    assert (text("a\0bc", 3), text("abc" * 999)) == (f"a{MARK}b", "abc" * 999)


def test_what_lies_too_deep_is_replaced_and_ends_nothing() -> None:
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    assert json.dumps(nested(deep)) == "[" * DEEPEST + json.dumps(MARK) + "]" * DEEPEST


@given(st.text(st.characters()), st.integers(0, 20))
def test_every_text_can_be_stored_and_stays_what_it_became(given_text: str, longest: int) -> None:
    kept = text(given_text, longest)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert (len(kept), text(kept)) == (min(len(given_text), longest), kept)
