"""The rows of a table are one test: each by itself would cost more to collect and report than to try."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from tests.rows import row

Row = dict[str, Any]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: Any) -> pytest.Item | None:
    """A table that needs nothing but its rows; `--rows` has one test for each of them."""
    if not inspect.isfunction(obj) or not name.startswith("test_") or collector.config.getoption("rows"):
        return None
    tables = [mark for mark in getattr(obj, "pytestmark", ()) if mark.name == "parametrize"]
    if not tables or any(len(mark.args) != 2 or not set(mark.kwargs) <= {"ids"} for mark in tables):
        return None
    parts = [list(_rows(*mark.args)) for mark in reversed(tables)]
    rows = [functools.reduce(lambda known, more: known | more, each) for each in product(*parts)]
    if not rows or set(rows[0]) != set(inspect.signature(obj).parameters):
        return None
    return pytest.Function.from_parent(collector, name=name, callobj=in_one(obj, rows))


def _rows(names: Any, values: Any) -> Iterator[Row]:
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    bare = isinstance(names, str) and len(listed) == 1
    for given in values:
        one = given.values if hasattr(given, "marks") else (given,) if bare else given
        yield dict(zip(listed, one, strict=True))


def in_one(test: Callable[..., None], rows: list[Row]) -> Callable[[], None]:
    """A test that tries every row, and says of which one it failed."""

    @functools.wraps(test)
    def every_row() -> None:
        for given in rows:
            random.seed(0)
            with row(*given.values()):
                test(**given)

    every_row.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name != "parametrize"]
    every_row.pytestmark = marks  # type: ignore[attr-defined]
    return every_row
