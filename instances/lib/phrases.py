"""Finds many fixed phrases in a text, at a cost that hardly depends on how many there are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

SHORTEST = 4
_LONG = 8
_SHORT_SIZES = range(_LONG - 1, SHORTEST - 1, -1)
_FEW = 16  # lengths that are cheaper tried one by one

Span = tuple[int, int]


class Phrases:
    """Phrases of 4 characters and more; not even hostile ones make a search slow."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._all = frozenset(phrases)
        self._sorted = sorted(self._all)
        self._starts = {phrase[:SHORTEST] for phrase in self._sorted}
        self._sizes = _sizes_by_start(self._sorted)
        self._longest = max(map(len, self._sorted), default=0)

    def spans(self, text: str) -> Iterator[Span]:
        """Spans that together cover every place of every phrase, overlapping ones included."""
        starts = self._starts
        if not starts:
            return
        for at in [i for i in range(len(text) - SHORTEST + 1) if text[i : i + SHORTEST] in starts]:
            size = self._size_at(text, at)
            if size:
                yield at, at + size

    def begun_at_end(self, text: str) -> int:
        """How long the longest start of a phrase at the text's end is; 0 for under 4 characters."""
        for at in range(max(len(text) - self._longest, 0), len(text) - SHORTEST + 1):
            if text[at : at + SHORTEST] in self._starts and self._begins_with(text[at:]):
                return len(text) - at
        return 0

    def _size_at(self, text: str, at: int) -> int:
        """The length of the longest phrase at a place of the text, 0 for none."""
        sizes: Sequence[int] = self._sizes.get(text[at : at + _LONG], ())
        if len(sizes) > _FEW:
            return self._longest_start(text[at : at + self._longest])
        left = len(text) - at
        for size in chain(sizes, _SHORT_SIZES):
            if size <= left and text[at : at + size] in self._all:
                return size
        return 0

    def _longest_start(self, text: str) -> int:
        """The length of the longest phrase the text starts with.

        Whatever sorts between such a phrase and the text starts with that phrase as well. So does the
        phrase that sorts right before the text, and what that one has in common with the text is enough
        to go on with.
        """
        while len(text) >= SHORTEST:
            before = bisect_right(self._sorted, text) - 1
            phrase = self._sorted[before] if before >= 0 else ""
            if phrase and text.startswith(phrase):
                return len(phrase)
            text = text[: _common(text, phrase)]
        return 0

    def _begins_with(self, start: str) -> bool:
        at = bisect_left(self._sorted, start)
        return at < len(self._sorted) and self._sorted[at].startswith(start)


def _sizes_by_start(phrases: Iterable[str]) -> dict[str, list[int]]:
    """The lengths, longest first, of the longer phrases that begin with the same 8 characters."""
    found: dict[str, set[int]] = {}
    for phrase in phrases:
        if len(phrase) >= _LONG:
            found.setdefault(phrase[:_LONG], set()).add(len(phrase))
    return {start: sorted(sizes, reverse=True) for start, sizes in found.items()}


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
