"""JSON as it is meant: what says something twice, or is nested deeper than Python can follow, is refused."""

from __future__ import annotations

import json
from typing import Any


class TwiceError(ValueError):
    """A name stands twice in one object."""


def loads(content: str | bytes) -> Any:
    """What a document says. Raises ValueError, whose words may quote it; those of TwiceError do not."""
    try:
        return json.loads(content, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise TwiceError("a name stands twice")
    return found
