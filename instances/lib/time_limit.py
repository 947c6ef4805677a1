"""Waiting no longer than so many seconds for work that knows no end of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], abort: Callable[[], None] = lambda: None) -> T:
    """What `work` returns or raises, on a thread of its own, which is left to end by itself.

    Raises TimeoutError after `seconds`, once `abort` was called.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # raised again in the thread that waits
            future.set_exception(error)

    threading.Thread(target=run, name="within", daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        abort()
        raise
