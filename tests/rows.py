"""Tables of cases in one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Row = TypeVar("Row")


@contextmanager
def row(*values: object) -> Iterator[None]:
    """Whatever goes wrong in the block says for which row of the table."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"In the row {', '.join(repr(value)[:200] for value in values)}.")
        raise


def at_once(rows: Sequence[Row], case: Callable[[Row], None]) -> None:
    """All rows of a table whose cases mostly wait, each on a thread of its own and without a database."""

    def tried(one: Row) -> None:
        with row(one):
            case(one)

    with ThreadPoolExecutor(len(rows)) as pool:
        list(pool.map(tried, rows))
