"""What a benchmark is told on its command line."""

from __future__ import annotations

import sys


def count(default: int, least: int = 50) -> int:
    """The first argument, a number of targets; ends the program with code 2 where it is none."""
    given = sys.argv[1] if len(sys.argv) > 1 else str(default)
    if not given.isascii() or not given.isdecimal() or int(given) < least:
        print(f"How many targets must be a whole number of at least {least}.", file=sys.stderr)
        raise SystemExit(2)
    return int(given)
