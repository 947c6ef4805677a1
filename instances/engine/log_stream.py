"""Container logs as they come off the wire: taken apart and handed on in bounded pieces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from instances.errors import DockmgrError

CHUNK = 64 * 1024
_HEADER = 8


def demultiplex(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The payload of an engine's stream of frames, however the frames are cut into chunks.

    A frame is one byte of stream number (stdout, stderr or the engine's own remarks; all are handed
    on), three of padding, four of length, and the payload. Pieces are never larger than the chunks,
    whatever length a frame claims: nothing is collected.
    """
    header, left = b"", 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if left:
                piece, view = view[:left], view[left:]
                left -= len(piece)
                yield bytes(piece)
                continue
            missing = _HEADER - len(header)
            header, view = header + bytes(view[:missing]), view[missing:]
            if len(header) == _HEADER:
                header, left = b"", int.from_bytes(header[4:])


T = TypeVar("T")


class WireStream(Generic[T]):
    """An iterator over a log or events that any thread can end, even while another waits for a piece.

    `interrupt` makes a read in progress return; `release` gives the connection back and is never
    called during a read.
    """

    def __init__(
        self, pieces: Iterator[T], interrupt: Callable[[], None], release: Callable[[], None]
    ) -> None:
        self._pieces = pieces
        self._interrupt = interrupt
        self._release = release
        self._reading = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._reading:
            try:
                if not self._closed:
                    return next(self._pieces)
            except (DockmgrError, ValueError):
                # A read that was interrupted may fail in many ways; only the end is of interest then.
                if not self._closed:
                    raise
        raise StopIteration

    def close(self) -> None:
        """End the iteration and hang up. Closing twice does nothing."""
        self._closed = True
        # Refused when the log was read to its end or the peer hung up: nothing is left to interrupt.
        with suppress(OSError, ValueError, RuntimeError):
            self._interrupt()
        with self._reading:
            self._release()
