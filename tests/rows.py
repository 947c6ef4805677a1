"""Tables of cases in one test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def row(*values: object) -> Iterator[None]:
    """Whatever goes wrong in the block says for which row of the table."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"In the row {', '.join(repr(value)[:200] for value in values)}.")
        raise
