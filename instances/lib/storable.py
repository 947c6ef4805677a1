"""What a database takes of texts and JSON from outside, whatever an engine, a program or a server wrote."""

from __future__ import annotations

import math
import re
from typing import Any

MARK = "\ufffd"  # stands for what can't be kept, so that nothing joins around it that was apart
# PostgreSQL refuses NUL in texts and in jsonb; halves of surrogate pairs are no UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
DEEPEST = 64


def text(value: str, longest: int | None = None) -> str:
    """The text as every database takes it; at most `longest` characters, if that is given."""
    return _UNSTORABLE.sub(MARK, value)[:longest]


def nested(value: Any, depth: int = DEEPEST) -> Any:
    """A JSON value as every database takes it: names and texts as by `text`, no number that is none.

    What lies deeper than 64 levels is replaced by the mark.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list | tuple):
        return value
    if not depth:
        return MARK
    if isinstance(value, dict):
        return {_name(name): nested(inner, depth - 1) for name, inner in value.items()}
    return [nested(inner, depth - 1) for inner in value]


def is_storable(value: Any) -> bool:
    """Whether every database takes all texts of a document as they are, whatever holds itself in it."""
    left, seen = [value], set()
    while left:
        each = left.pop()
        if isinstance(each, str) and _UNSTORABLE.search(each):
            return False
        if isinstance(each, dict | list | tuple) and id(each) not in seen:
            seen.add(id(each))
            left += [*each, *each.values()] if isinstance(each, dict) else each
    return True


def _name(name: Any) -> Any:
    return text(name) if isinstance(name, str) else name
