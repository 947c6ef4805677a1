"""Sizes of memory and files as people write them."""

from __future__ import annotations

import re

UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
MOST_BYTES = 1024**5


def in_bytes(value: object) -> int:
    """`2g`, `512m`, `1.5g` or a number of bytes, as bytes. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmgt]?)b?", str(value).strip().lower())
    if not match or isinstance(value, bool):
        raise ValueError("must be a size such as 512m or 2g")
    size = float(match[1]) * UNITS[match[2]]
    if size > MOST_BYTES:
        raise ValueError("must be a size that a machine can have")
    return int(size)


def shortest(size: int) -> str:
    """A number of bytes as people write it, which `in_bytes` reads as the same."""
    unit = next((u for u in ("t", "g", "m", "k") if size and size % UNITS[u] == 0), "")
    return f"{size // UNITS[unit]}{unit}"


def shown(value: float) -> str:
    """A number of bytes for people: `512 MB`, `1.5 GB`; units are powers of 1024."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.3g} TB"
