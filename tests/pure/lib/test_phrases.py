"""Many phrases are found like one by one, at a cost that hardly depends on their number."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.lib.phrases import Phrases
from instances.lib.redact import MARK, Redactor
from tests.cpu import costs_less_than

ALPHABET = "ab\u00e9"
phrases = st.lists(st.text(ALPHABET, min_size=4, max_size=40), max_size=8)
texts = st.text(ALPHABET + "-", max_size=60)
KIB = 1024


def covered(found: list[tuple[int, int]]) -> set[int]:
    return {place for start, end in found for place in range(start, end)}


def one_by_one(wanted: list[str], text: str) -> list[tuple[int, int]]:
    places = [(at, phrase) for phrase in wanted for at in range(len(text))]
    return [(at, at + len(phrase)) for at, phrase in places if text.startswith(phrase, at)]


@given(phrases, st.lists(st.sampled_from([*ALPHABET, "-"]), max_size=60).map("".join))
def test_what_is_found_covers_every_place_of_every_phrase(wanted: list[str], text: str) -> None:
    mixed = text + "".join(wanted) + text
    assert covered(list(Phrases(wanted).spans(mixed))) == covered(one_by_one(wanted, mixed))


@given(phrases, texts)
def test_the_longest_phrase_that_the_end_cuts_is_measured(wanted: list[str], text: str) -> None:
    sizes = range(4, len(text) + 1)
    begun = [n for n in sizes if any(phrase.startswith(text[-n:]) for phrase in wanted)]
    assert Phrases(wanted).begun_at_end(text) == max(begun, default=0)


HOSTILE = {
    "phrases within phrases": ["a" * size for size in range(8, 500)],
    "each begins like the one before": ["a" * size + "A" for size in range(8, 500)],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_phrases_make_no_search_slow(kind: str) -> None:
    found = Phrases(HOSTILE[kind])

    def search() -> None:
        for line in ("a" * 2000, ("a" * 490 + "b") * 4):
            list(found.spans(line))

    # Cut by cut this took 1.5 seconds for the second.
    assert costs_less_than(0.2, search)


def words(number: int, size: int, alphabet: str) -> list[str]:
    chance = random.Random(number)
    return ["".join(chance.choices(alphabet, k=size)) for _ in range(number)]


LOG = [f"2026-11-28T10:00:00Z INFO {word} handled" for word in words(1000, 60, string.ascii_letters)]
ENVIRONMENTS = {
    "short lines": ["\n".join(words(1800, 8, string.ascii_letters))],
    "lines that are escaped": ["\n".join(words(1800, 8, string.punctuation))],
    "lines of digits": ["\n".join(words(1800, 8, string.digits))],
    "short values": words(4000, 4, string.ascii_letters),
    "one long value": words(2, 8 * KIB, string.ascii_letters),
    "repeats": ["a" * 8 * KIB, "\n".join("a" * size for size in range(8, 128))],
}


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_redaction_costs_about_the_same_for_any_environment_of_16_kib(kind: str) -> None:
    values = ENVIRONMENTS[kind]
    secret = values[0].split("\n")[-1]

    def cleaned() -> list[str]:
        redactor = Redactor(values)
        return [redactor.text(line) for line in [*LOG, f"<{secret}>"]]

    # Form by form this took 1.5 seconds for short lines.
    assert costs_less_than(0.5, cleaned)
    assert cleaned()[-1] == f"<{MARK}>"
