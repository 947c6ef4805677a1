"""Finds many fixed phrases in a text, at a cost that hardly depends on how many there are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

SHORTEST = 4

Span = tuple[int, int]


class Phrases:
    """Phrases of 4 characters and more; not even hostile ones make a search slow."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._sorted = sorted(set(phrases))
        self._starts = {phrase[:SHORTEST] for phrase in self._sorted}
        self._sizes = list(_sizes_of_starts(self._sorted))
        self._longest = max(map(len, self._sorted), default=0)

    def spans(self, text: str) -> Iterator[Span]:
        """Spans that together cover every place of every phrase, overlapping ones included."""
        starts = self._starts
        if not starts:
            return
        for at in [i for i in range(len(text) - SHORTEST + 1) if text[i : i + SHORTEST] in starts]:
            size = self._longest_start(text[at : at + self._longest])
            if size:
                yield at, at + size

    def begun_at_end(self, text: str) -> int:
        """How long the longest start of a phrase at the text's end is; 0 for under 4 characters."""
        for at in range(max(len(text) - self._longest, 0), len(text) - SHORTEST + 1):
            if text[at : at + SHORTEST] in self._starts and self._begins_with(text[at:]):
                return len(text) - at
        return 0

    def _longest_start(self, text: str) -> int:
        """The length of the longest phrase the text starts with, 0 for none.

        Whatever sorts between such a phrase and the text starts with that phrase as well. So does the
        phrase that sorts right before the text.
        """
        before = bisect_right(self._sorted, text) - 1
        if before < 0:
            return 0
        sizes = self._sizes[before]
        fitting = bisect_right(sizes, _common(text, self._sorted[before]))
        return sizes[fitting - 1] if fitting else 0

    def _begins_with(self, start: str) -> bool:
        at = bisect_left(self._sorted, start)
        return at < len(self._sorted) and self._sorted[at].startswith(start)


def _sizes_of_starts(phrases: Iterable[str]) -> Iterator[tuple[int, ...]]:
    """For each of sorted phrases the lengths of those it starts with, shortest first, its own last."""
    starts: list[str] = []
    for phrase in phrases:
        while starts and not phrase.startswith(starts[-1]):
            starts.pop()
        starts.append(phrase)
        yield tuple(map(len, starts))


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
