"""CPU seconds of process trees, from the kernel's own accounting."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """User and system seconds of a process, its living descendants, and its reaped children."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            _read(entry, children, ticks)
    todo, total = [root], 0
    while todo:
        pid = todo.pop()
        total += ticks.get(pid, 0)
        todo += children.get(pid, [])
    return total / TICKS


def _read(entry: Path, children: dict[int, list[int]], ticks: dict[int, int]) -> None:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return  # it ended while we looked
    pid = int(entry.name)
    children.setdefault(int(fields[1]), []).append(pid)
    ticks[pid] = sum(int(field) for field in fields[11:15])
