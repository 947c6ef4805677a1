"""A machine that has no thread left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def no_thread_left() -> Iterator[None]:
    """Within it no thread starts, and the error that says so is expected."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="start new thread"):
        patch.setattr(threading.Thread, "start", refuse)
        yield
