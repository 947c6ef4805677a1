"""Reading a growing table in order, where ids are taken before they are committed. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def settled(position: int, ids: Sequence[int], passed: int = 0) -> int:
    """How many of these rows, all behind `position` and in order, may be handed on.

    A missing id may be one that is not committed yet, so what is behind it waits. `passed` is the first row
    behind a gap that was waited for long enough: that id was given up.
    """
    for number, found in enumerate(ids):
        if found != position + 1 and found > passed:
            return number
        position = found
    return len(ids)
