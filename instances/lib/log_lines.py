"""Turns a hostile stream of log bytes into bounded, redacted lines."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from instances.lib.redact import Redactor

MAX_LINE = 8192
MAX_TOTAL = 4 * 1024 * 1024

_SMALLEST_MAX_LINE = 64  # leaves room for the marker
_LINE_OVERHEAD = 64  # what holding a line costs beside its bytes, roughly
_CARRIAGE_RETURN = "␍"

RawLine = tuple[bytes, int]  # the start of a line, and how many bytes of it were not kept


@dataclass(frozen=True)
class Tail:
    """The newest lines, oldest first. `truncated`: a line was cut short, or lines asked for are missing."""

    lines: list[str]
    truncated: bool


def tail(
    chunks: Iterable[bytes],
    *,
    lines: int,
    redactor: Redactor,
    max_line: int = MAX_LINE,
    max_total: int = MAX_TOTAL,
    deadline: Callable[[], bool] | None = None,
) -> Tail:
    """The last `lines` lines of a stream, decoded from UTF-8 and free of the redactor's secrets.

    Lines end at LF or CR LF; any other CR (a progress bar's) shows as `␍`, so that one line of the
    engine stays one line. A line longer than `max_line` bytes (64 at least) ends in `… [N bytes cut]`
    and is `max_line` bytes with it; all lines together are at most `max_total` bytes, the newest win.
    Memory stays near `max_total` however long the stream or a line is, for chunks of sensible size.
    `deadline` is asked after every chunk; once it says True, no more is read. It cannot interrupt
    `chunks` itself. Raises ValueError for a negative `lines` or too small a `max_line`.
    """
    if lines < 0:
        raise ValueError("lines must not be negative")
    splitter = _Splitter(_kept_bytes(max_line, redactor))
    # No more than this can be held, however many are asked for; one more shows that some are missing.
    most = min(lines, max_total // _LINE_OVERHEAD + 1)
    newest = _Newest(most, max_total)
    late = False
    for chunk in chunks:
        newest.extend(splitter.feed(chunk, most))
        late = deadline is not None and deadline()
        if late:
            break
    newest.extend(splitter.rest())
    shown = _render_newest(newest, redactor, max_line, max_total)
    lost = late or len(shown) < min(lines, newest.seen)
    return Tail([line.text for line in shown], truncated=lost or any(line.cut for line in shown))


def follow(chunks: Iterable[bytes], redactor: Redactor, max_line: int = MAX_LINE) -> Iterator[str]:
    """Every line of an endless stream as it ends, treated like those of `tail`."""
    splitter = _Splitter(_kept_bytes(max_line, redactor))
    for chunk in chunks:
        for raw in splitter.feed(chunk):
            yield _render(raw, redactor, max_line).text
    for raw in splitter.rest():
        yield _render(raw, redactor, max_line).text


def raw_lines(chunks: Iterable[bytes], max_line: int = MAX_LINE) -> Iterator[RawLine]:
    """Every line of an endless stream as it ends, as it came; no more than `max_line` bytes of it are kept.

    What is to be shown of one goes through `shown`.
    """
    splitter = _Splitter(max_line)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.rest()


def shown(raw: RawLine, redactor: Redactor, max_line: int) -> str:
    """A raw line treated like those of `tail`."""
    return _render(raw, redactor, max_line).text


def _kept_bytes(max_line: int, redactor: Redactor) -> int:
    """Enough of a line that a secret which begins in the part shown is seen whole."""
    if max_line < _SMALLEST_MAX_LINE:
        raise ValueError(f"max_line must be at least {_SMALLEST_MAX_LINE} bytes")
    return max_line + redactor.longest


class _Splitter:
    """Cuts chunks into lines and keeps no more than `keep` bytes of any of them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._start()

    def _start(self) -> None:
        self._open = bytearray()
        self._dropped = 0

    def feed(self, chunk: bytes, newest: int | None = None) -> list[RawLine]:
        """The lines that end in this chunk; with `newest`, at least the last so many of them."""
        parts = chunk.split(b"\n") if newest is None else chunk.rsplit(b"\n", newest + 1)
        if newest is not None and len(parts) == newest + 2:
            self._start()  # parts[0] may hold any number of lines, all too old
            return self._whole(parts[1:-1], then=parts[-1])
        self._continue(parts[0])
        if len(parts) == 1:
            return []
        first = (bytes(self._open), self._dropped)
        self._start()
        return [first, *self._whole(parts[1:-1], then=parts[-1])]

    def rest(self) -> list[RawLine]:
        """The last line, when the stream ended without a line end."""
        return [(bytes(self._open), self._dropped)] if self._open else []

    def _whole(self, parts: list[bytes], then: bytes) -> list[RawLine]:
        self._continue(then)
        keep = self._keep
        return [(part, 0) if len(part) <= keep else (part[:keep], len(part) - keep) for part in parts]

    def _continue(self, part: bytes) -> None:
        room = self._keep - len(self._open)
        self._open += part[:room]
        self._dropped += max(len(part) - room, 0)


class _Newest:
    """The newest raw lines, bounded in number and in bytes held."""

    def __init__(self, lines: int, max_bytes: int) -> None:
        self.seen = 0
        self._lines = lines
        self._max_bytes = max_bytes
        self._held: deque[RawLine] = deque()
        self._bytes = 0

    def __reversed__(self) -> Iterator[RawLine]:
        return reversed(self._held)

    def extend(self, lines: list[RawLine]) -> None:
        self.seen += len(lines)
        if len(lines) >= self._lines:  # spares the walk below when a chunk alone holds enough
            self._held.clear()
            self._bytes, lines = 0, lines[len(lines) - self._lines :]
        self._held.extend(lines)
        self._bytes += sum(len(raw) + _LINE_OVERHEAD for raw, _ in lines)
        while self._held and (len(self._held) > self._lines or self._bytes > self._max_bytes):
            raw, _ = self._held.popleft()
            self._bytes -= len(raw) + _LINE_OVERHEAD


class _Rendered(NamedTuple):
    text: str
    cut: bool


def _render_newest(newest: _Newest, redactor: Redactor, max_line: int, max_total: int) -> list[_Rendered]:
    """The lines that fit into `max_total` bytes, each with its line end; oldest first."""
    shown: deque[_Rendered] = deque()
    left = max_total
    for raw in reversed(newest):
        line = _render(raw, redactor, max_line)
        left -= len(line.text.encode()) + 1
        if left < 0:
            break
        shown.appendleft(line)
    return list(shown)


def _render(raw: RawLine, redactor: Redactor, max_line: int) -> _Rendered:
    """Redaction comes before any cut: of half a secret nothing would be recognised."""
    kept, dropped = raw
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(kept if dropped else kept.rstrip(b"\r"), final=not dropped)
    # A character that the cut went through is left out: as U+FFFD it would hide a secret's beginning.
    unfinished, _ = decoder.getstate()
    clean = redactor.text(text, is_cut=dropped > 0)
    return _cap(clean.replace("\r", _CARRIAGE_RETURN), dropped + len(unfinished), max_line)


def _cap(text: str, dropped: int, max_line: int) -> _Rendered:
    data = text.encode()
    if not dropped and len(data) <= max_line:
        return _Rendered(text, cut=False)
    room = max_line - len(_marker(dropped + len(data)).encode())
    shown = data[:room].decode("utf-8", "ignore")
    return _Rendered(shown + _marker(dropped + len(data) - len(shown.encode())), cut=True)


def _marker(cut_bytes: int) -> str:
    return f"… [{cut_bytes} bytes cut]"


# Sequences first, then any control character left; those of a terminal that may hold text (OSC, DCS and
# their like) go with it, to the end of the line when nothing ends them. Each part is read once.
_TERMINAL = re.compile(
    r"""
    (?: \x1b\] | \x9d ) [^\x07\x1b\x9c]*+ (?: \x07 | \x1b\\ | \x9c )?         # OSC: titles, links, clipboard
  | (?: \x1b[PX^_] | [\x90\x98\x9e\x9f] ) [^\x1b\x9c]*+ (?: \x1b\\ | \x9c )?  # DCS, SOS, PM, APC
  | (?: \x1b\[ | \x9b ) [0-?]*+ [ -/]*+ [@-~]?                               # CSI: cursor, colours
  | \x1b [ -/]*+ [0-~]?
  | [\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]
    """,
    re.VERBOSE,
)


def for_terminal(line: str) -> str:
    """The line without anything that could move a cursor, set a title or turn text around; tabs stay."""
    return _TERMINAL.sub("", line)
