"""What the demo tells: one line per event with the seconds since the start; colours on a terminal only."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

WIDTH_OFF_TERMINAL = 120


class Narrator:
    """Prints to standard output, a whole line at a time. `began` is the start in epoch seconds."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, soft_wrap=True, width=WIDTH_OFF_TERMINAL)

    def heading(self, text: str) -> None:
        self.console.print(Text(f"\n{text}", style="bold"))

    def line(
        self, who: str, what: str, detail: str = "", *, moment: float | None = None, style: str = ""
    ) -> None:
        """One event; `moment` in epoch seconds, now if there is none, and `style` for the word `what`."""
        seconds = (time.time() if moment is None else moment) - self.began
        line = Text.assemble(
            (f"{seconds:6.1f} s  ", "dim"), f"{who:<9} ", (f"{what:<21} ", style), printable(detail)
        )
        line.rstrip()
        self.console.print(line)


def printable(text: str) -> str:
    """The text with everything escaped that could steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
