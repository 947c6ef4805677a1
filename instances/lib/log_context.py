"""What the present work is about, for the log lines written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_ABOUT: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 never changed in place


@contextmanager
def about(**names: str) -> Iterator[None]:
    """While the block runs, log lines of this thread carry these names, as in `customer_id="c1"`."""
    token = _ABOUT.set({**_ABOUT.get(), **names})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def present() -> Mapping[str, str]:
    return _ABOUT.get()
