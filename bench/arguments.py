"""What a benchmark is told on its command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def whole(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least so much, for `argparse`."""

    def read(given: str) -> int:
        if not given.isascii() or not given.isdecimal() or int(given) < least:
            raise argparse.ArgumentTypeError(f"{given} is no whole number of at least {least}.")
        return int(given)

    return read


def count(default: int, least: int = 50, place: int = 1, what: str = "targets") -> int:
    """The argument at a place, a number; ends the program with code 2 where it is none."""
    if len(sys.argv) <= place:
        return default
    try:
        return whole(least)(sys.argv[place])
    except argparse.ArgumentTypeError:
        print(f"How many {what} must be a whole number of at least {least}.", file=sys.stderr)
        raise SystemExit(2) from None
