"""How commands print for people: tables, coloured states, a bar on work that takes its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from instances.lib.log_lines import for_terminal

STYLES = {
    "healthy": "green", "succeeded": "green", "done": "green",
    "suspect": "yellow", "starting": "yellow", "restarting": "yellow", "running": "yellow",
    "unknown": "yellow", "queued": "yellow", "paused": "dim",
    "unhealthy": "red", "failed": "bold red", "rolled_back": "red",
    "warning": "yellow", "critical": "bold red", "resolved": "green",
}  # fmt: skip
NARROWEST = 80  # columns a table has; a terminal that is narrower wraps its lines


def console() -> Console:
    """Standard output: coloured on a terminal, plain and wide elsewhere. It takes texts as they are."""
    terminal = sys.stdout.isatty()
    made = Console(
        file=sys.stdout,
        highlight=False,
        markup=False,
        emoji=False,
        force_terminal=terminal,
        no_color=not terminal,
        width=None if terminal else 240,
    )
    made.width = max(made.width, NARROWEST)
    return made


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table without lines; states are coloured on a terminal."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(styled(cell) for cell in row))
    return made


def styled(cell: Any) -> Text:
    """A cell's text: states coloured, anything a customer wrote made harmless."""
    said = ", ".join(cell) if isinstance(cell, list) else "" if cell is None else str(cell)
    text = for_terminal(said)
    return Text(text, style=STYLES.get(text, ""))


class LateBar:
    """A progress bar that appears only when the work has taken a second."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=Console(file=sys.stderr), transient=True)
        self._task, self._began, self._shown = self._bar.add_task(""), time.monotonic(), False

    def __enter__(self) -> LateBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, done: int, total: int, text: str) -> None:
        self._bar.update(self._task, completed=done, total=total, description=text)
        if not self._shown and time.monotonic() - self._began > 1:
            self._bar.start()
            self._shown = True
