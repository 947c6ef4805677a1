"""Ctrl-C and TERM as one exception, raised once, so that tidying up is never cut short."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_once() -> None:
    """From now on the first Ctrl-C or TERM raises KeyboardInterrupt in the main thread; later ones don't."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on Ctrl-C and TERM do nothing here; SIG_IGN would be inherited by every child started yet."""
    for number in SIGNALS:
        signal.signal(number, _do_nothing)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler, so that a child that is started now still ends on TERM."""


def wait_for_one() -> NoReturn:
    """Sleep until Ctrl-C or TERM raises KeyboardInterrupt.

    A signal that comes just before the sleep leaves a byte in the pipe; `signal.pause` would miss it.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        while True:
            select.select([reader], [], [])
            os.read(reader, 1)
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    ignore()
    raise KeyboardInterrupt
