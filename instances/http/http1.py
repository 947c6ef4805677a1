"""One HTTP/1 answer, with a bound on every part of it, read as it comes: whoever has the socket feeds it."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TypeVar

BODY_LIMIT = 64 * 1024
HEAD_LIMIT = 32 * 1024
CHUNK_LINE_LIMIT = 256
RECEIVE_SIZE = 16 * 1024

T = TypeVar("T")
# Asks for more of the answer by yielding; is sent what came, nothing when the other side has closed.
Reading = Generator[None, bytes, T]

_STATUS_LINE = re.compile(rb"HTTP/1\.\d ([1-9]\d\d)(?: |$)")
_OTHERS = rb"(?:(?!content-length|content-encoding|transfer-)[A-Za-z][A-Za-z0-9-]*:[^\r\n]*\r\n)*"
_PLAIN = re.compile(
    rb"(?-i:HTTP)/1\.\d 200(?: [^\r\n]*)?\r\n%bcontent-length: ?(\d{1,5})\r\n%b\r\n" % (_OTHERS, _OTHERS),
    re.IGNORECASE,
)


class AnswerError(Exception):
    """What came is no answer that can be judged; `reason` is a code of `health.response`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Wire:
    """What has come of an answer and was not read yet; never more than a bound and one receive."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.taken = 0

    def line(self, room: int) -> Reading[bytes]:
        """The next line without its ending; longer than `room` bytes is no HTTP."""
        seen = 0
        while (end := self._buffer.find(b"\n", seen)) < 0 and len(self._buffer) <= room:
            seen = len(self._buffer)
            if not (yield from self._more()):
                if not self._buffer.strip(b"\r"):
                    raise AnswerError("closed")
                end = seen
                break
        if not 0 <= end <= room:
            raise AnswerError("bad_response")
        return self._take(end + 1).rstrip(b"\r\n")

    def block(self, until: int) -> Reading[list[bytes]]:
        """The lines up to an empty one, without their endings; beyond `until` bytes of all it is no HTTP."""
        lines: list[bytes] = []
        while line := (yield from self.line(until - self.taken)):
            lines.append(line)
        return lines

    def exactly(self, size: int) -> Reading[bytes]:
        while len(self._buffer) < size:
            if not (yield from self._more()):
                raise AnswerError("closed")
        return self._take(size)

    def rest(self, limit: int) -> Reading[bytes]:
        """Everything until the other side closes; more than `limit` bytes is too large."""
        while len(self._buffer) <= limit:
            if not (yield from self._more()):
                return bytes(self._buffer)
        raise AnswerError("too_large")

    def _more(self) -> Reading[bool]:
        data = yield
        self._buffer += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.taken += len(data)
        return data


def plain_body(data: bytes) -> bytes | None:
    """The body of an answer 200 that came in one piece, as almost all do, in a third of the time it takes to
    read any other; None for those.
    """
    head = _PLAIN.match(data)
    if head is None:
        return None
    begin, size = head.end(), int(head[1])
    return data[begin : begin + size] if size <= min(len(data) - begin, BODY_LIMIT) else None


def read_head(wire: Wire) -> Reading[tuple[int, dict[bytes, bytes]]]:
    """Status and headers (names in lower case) of the final answer, after any interim ones."""
    while True:
        status = _status((yield from wire.line(HEAD_LIMIT - wire.taken)))
        lines = yield from wire.block(HEAD_LIMIT)
        if status >= 200 or status == 101:
            return status, _headers(lines)


def _status(line: bytes) -> int:
    match = _STATUS_LINE.match(line)
    if match is None:
        raise AnswerError("bad_response")
    return int(match[1])


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        if line[:1] in b" \t":  # the rest of a folded header
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            raise AnswerError("bad_response")
        _add(headers, name.lower(), value.strip())
    return headers


def _add(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """One more header: codings add up, and two lengths that differ become one that can't be read."""
    earlier = headers.get(name)
    adds_up = name == b"content-encoding" or (name == b"content-length" and earlier != value)
    headers[name] = b"%b,%b" % (earlier, value) if earlier and adds_up else value


def read_body(wire: Wire, headers: dict[bytes, bytes]) -> Reading[bytes]:
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return (yield from _read_chunks(wire))
    length = headers.get(b"content-length")
    if length is None:
        return (yield from wire.rest(BODY_LIMIT))
    return (yield from wire.exactly(_size(length, 10, BODY_LIMIT)))


def _read_chunks(wire: Wire) -> Reading[bytes]:
    body = bytearray()
    while size := (yield from _chunk_size(wire, BODY_LIMIT - len(body))):
        body += yield from wire.exactly(size)
        if (yield from wire.line(CHUNK_LINE_LIMIT)):
            raise AnswerError("bad_response")
    return bytes(body)


def _chunk_size(wire: Wire, limit: int) -> Reading[int]:
    line = yield from wire.line(CHUNK_LINE_LIMIT)
    return _size(line.partition(b";")[0].strip(), 16, limit)


def _size(digits: bytes, base: int, limit: int) -> int:
    """A length as HTTP writes it; int() alone would also take signs and underscores."""
    if not digits.isalnum():
        raise AnswerError("bad_response")
    try:
        size = int(digits, base)
    except ValueError as error:
        raise AnswerError("bad_response") from error
    if size > limit:
        raise AnswerError("too_large")
    return size
