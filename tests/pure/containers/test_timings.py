"""Which timings of a plan can't work, at the very edge of each rule."""

from __future__ import annotations

import pytest

from instances.containers.timings import Bounds, impossible, stop_seconds

BOUNDS = Bounds(probe_timeout=5, successes=4, poll=2, margin=6, longest_change=1000)

# (start_grace, stop_timeout): words of the sentences, in order
TABLE: dict[tuple[float, float], list[str]] = {
    (60, 10): [],
    (6, 0): [],
    (5.9, 10): ["4 checks in a row"],
    (5, 10): ["4 checks in a row"],
    (4.9, 10): ["shorter than one check", "4 checks in a row"],
    (0, 10): ["shorter than one check", "4 checks in a row"],
    (484, 10): [],
    (484, 11): ["1002 s in all"],
    (0, 600): ["shorter than one check", "4 checks in a row", "1212 s in all"],
}


@pytest.mark.parametrize(("timing", "expected"), TABLE.items(), ids=map(str, TABLE))
def test_each_reason_has_a_sentence(timing: tuple[float, float], expected: list[str]) -> None:
    found = list(impossible(*timing, BOUNDS))
    assert len(found) == len(expected)
    assert all(words in sentence for words, sentence in zip(expected, found, strict=True))
    assert all(sentence.endswith(".") for sentence in found)


def test_one_success_needs_no_wait_between_checks() -> None:
    assert list(impossible(0.1, 10, Bounds(probe_timeout=0.1, successes=1, poll=60))) == []


@pytest.mark.parametrize(("asked", "given"), [(0, 0), (77, 77), (600, 600), (601, 600), (-1, 600)])
def test_no_container_is_waited_for_without_end(asked: int, given: int) -> None:
    assert stop_seconds(asked) == given
