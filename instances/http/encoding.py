"""The body of an answer as it was before it was compressed, bounded in size."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from instances.http.http1 import BODY_LIMIT, AnswerError

_MOST_CODINGS = 3
_PLAIN = ("", "identity")
_NAMING = (b"content-encoding", b"transfer-encoding")
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def decoded(body: bytes, headers: dict[bytes, bytes]) -> bytes:
    """The body without the codings its headers name.

    Raises AnswerError: `bad_encoding` for a coding that is not known or not what it says, `too_large`
    for more than a health answer may hold.
    """
    if headers.keys().isdisjoint(_NAMING):
        return body
    named = b",".join(headers.get(name, b"") for name in _NAMING)
    codings = [coding.strip().lower().decode("latin-1") for coding in named.split(b",")]
    used = [coding for coding in codings if coding not in (*_PLAIN, "chunked")]
    if len(used) > _MOST_CODINGS or not _DECODERS.keys() >= set(used):
        raise AnswerError("bad_encoding")
    for coding in reversed(used):
        body = _decode(body, _DECODERS[coding])
    return body


def _decode(body: bytes, decoder: Callable[[bytes], bytes]) -> bytes:
    if not body:
        return body
    try:
        return decoder(body)
    except zlib.error:
        raise AnswerError("bad_encoding") from None


def _gunzip(body: bytes) -> bytes:
    """All members of a gzip file; zeros may follow the last one."""
    found = bytearray()
    while body.rstrip(b"\0"):
        member = zlib.decompressobj(_GZIP)
        found += _whole(member, body, BODY_LIMIT - len(found))
        body = member.unused_data
    return bytes(found)


def _inflate(body: bytes) -> bytes:
    """What HTTP calls deflate is zlib's format; some servers leave its header out."""
    try:
        return _whole(zlib.decompressobj(_ZLIB), body, BODY_LIMIT)
    except zlib.error:
        return _whole(zlib.decompressobj(_RAW), body, BODY_LIMIT)


def _whole(stream: zlib._Decompress, body: bytes, limit: int) -> bytes:
    found = stream.decompress(body, limit + 1)
    if len(found) > limit:
        raise AnswerError("too_large")
    if not stream.eof:
        raise AnswerError("bad_encoding")
    return found


_DECODERS = {"gzip": _gunzip, "x-gzip": _gunzip, "deflate": _inflate}
