"""Texts as they were before JSON, HTML, a URL, Python or a shell escaped them, and where each part stands.

What colours a text on a terminal, or leaves nothing there, is taken out as well.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

STARTERS = "%\\&'\x1b\0"  # every escape begins with one of them
# Each way begins with one character, by which the places to try are found; its group only says which it is.
_ESCAPE = re.compile(
    r"""
    %[0-9A-Fa-f]{2} (?: %[0-9A-Fa-f]{2} )* (?P<percent>)
  | \\u[0-9A-Fa-f]{4} (?: \\u[0-9A-Fa-f]{4} )* (?P<utf16>)                           # JSON, and its like
  | \\ (?: x[0-9A-Fa-f]{2} | [0-3][0-7]{2} ) (?: \\x[0-9A-Fa-f]{2} | \\[0-3][0-7]{2} )* (?P<bytes>)
  | \\ (?: U000[0-9A-Fa-f]{5} | u\{[0-9A-Fa-f]{1,5}\} ) (?P<point>)                  # Python, Rust
  | \\ [^\n] (?P<one>)
  | & (?: \# (?: [0-9]{1,7} | [xX][0-9A-Fa-f]{1,6} ) | [A-Za-z]{2,8} ) ; (?P<html>)
  | ' (?: \\'' | "'"' ) (?P<quote>)                                                  # within a shell's
  | \x1b (?: \[ [0-?]*+ [ -/]*+ [@-~] | \] [^\x07\x1b]*+ (?: \x07 | \x1b\\ ) | [ -/]*+ [0-~] ) (?P<terminal>)
  | \x00 (?P<nul>)                                                                     # UTF-16 has them
    """,
    re.VERBOSE,
)
_NAMED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}


_ONE = {f"\\{chr(code)}": _NAMED.get(chr(code), chr(code)) for code in range(32, 127)}  # the most frequent
Characters = Iterator[tuple[str, int]]  # each with the length of its escape


class Unescaped:
    """`text` is without one layer of escapes."""

    def __init__(self, escaped: str) -> None:
        self.text = _ESCAPE.sub(_meaning, escaped)
        self._escaped = escaped

    def place(self, index: int) -> int:
        """Where in the escaped text the character begins, or where what comes before it ends."""
        starts, places = self._known
        known = bisect_right(starts, index) - 1
        return places[known] + index - starts[known]

    @cached_property
    def _known(self) -> tuple[list[int], list[int]]:
        """Where each escaped character is, and what follows it: in `text`, and in what was escaped."""
        starts, places = [0], [0]
        for match in _ESCAPE.finditer(self._escaped):
            starts.append(starts[-1] + match.start() - places[-1])
            places.append(match.start())
            for _, width in _characters(match):
                starts.append(starts[-1] + 1)
                places.append(places[-1] + width)
            starts.append(starts[-1])
            places.append(match.end())
        return starts, places


def unescaped(text: str) -> Unescaped | None:
    """The text without one layer of escapes; None where it has none."""
    if not any(starter in text for starter in STARTERS) or not _ESCAPE.search(text):
        return None
    return Unescaped(text)


def _meaning(escape: re.Match[str]) -> str:
    return _ONE.get(escape[0]) or "".join(character for character, _ in _characters(escape))


def _characters(escape: re.Match[str]) -> Characters:
    """What an escape, or a run of them, stands for."""
    kind, whole = escape.lastgroup, escape[0]
    if kind == "percent":
        for character in bytes.fromhex(whole.replace("%", "")).decode("utf-8", "surrogateescape"):
            yield character, 3 * len(character.encode("utf-8", "surrogateescape"))
    elif kind == "bytes":
        yield from _of_bytes(whole)
    elif kind == "utf16":
        for character in bytes.fromhex(whole.replace("\\u", "")).decode("utf-16-be", "surrogatepass"):
            yield character, 6 if character < "\U00010000" else 12
    elif kind == "point":
        yield chr(int(whole.strip("\\Uu{}"), 16)), len(whole)
    elif kind == "one":
        yield _NAMED.get(whole[1], whole[1]), len(whole)
    elif kind == "html":
        yield html.unescape(whole)[:1], len(whole)
    elif kind == "quote":
        yield "'", len(whole)


def _of_bytes(run: str) -> Characters:
    """UTF-8 as far as it is that, else each byte as the character of that number, as Python has it."""
    data = bytes(int(part[1:], 16) if part[0] == "x" else int(part, 8) for part in run.split("\\")[1:])
    try:
        text, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "latin-1"
    for character in text:
        yield character, 4 * len(character.encode(encoding))
