"""Answers that come compressed although nobody asked for that: they are read, or their coding is named."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from instances.health.response import Expect, Outcome
from tests.fast.timed import timed_probe
from tests.hostile_server import HostileServer, answer

BAD, GOOD = b'{"ok":false}', b'{"ok":true,"version":"7"}'


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def raw(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def look(body: bytes, headers: str, expect: Expect = Expect.AUTO) -> tuple[Outcome, str]:
    with HostileServer(answer(body, headers=headers)) as server:
        result = timed_probe(server.url(), expect=expect)
    return result.outcome, result.reason


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (packed(BAD), "Content-Encoding: gzip\r\n"),
        (packed(BAD), "content-encoding:  X-GZIP \r\n"),
        (packed(BAD[:5]) + packed(BAD[5:]) + bytes(8), "Content-Encoding: gzip\r\n"),
        (zlib.compress(BAD), "Content-Encoding: deflate\r\n"),
        (raw(BAD), "Content-Encoding: deflate\r\n"),
        (zlib.compress(packed(BAD)), "Content-Encoding: gzip, deflate\r\n"),
        (packed(BAD), "Content-Encoding: gzip\r\nContent-Encoding: identity\r\n"),
        (packed(BAD), "Transfer-Encoding: gzip\r\n"),
        (BAD, "Content-Encoding: identity\r\n"),
        (BAD, "Content-Encoding: \r\n"),
    ],
)
def test_a_compressed_answer_is_read(body: bytes, headers: str) -> None:
    assert look(body, headers) == (Outcome.FAIL, "body_not_ok")


def test_a_good_answer_is_good_compressed_as_well() -> None:
    headers = "Content-Encoding: gzip\r\n"
    assert look(packed(GOOD), headers, Expect.JSON_OK) == (Outcome.OK, "")
    assert look(b"", headers) == (Outcome.OK, "")


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (BAD, "br"),
        (BAD, "zstd"),
        (BAD, "gzip"),
        (BAD, "deflate"),
        (packed(BAD)[:-3], "gzip"),
        (packed(BAD) + b"x", "gzip"),
        (zlib.compress(BAD)[:-3], "deflate"),
        (packed(BAD), "gzip, br"),
        (packed(BAD), "gzip, gzip, gzip, gzip"),
    ],
)
def test_an_encoding_that_cannot_be_read_is_named(body: bytes, coding: str) -> None:
    assert look(body, f"Content-Encoding: {coding}\r\n") == (Outcome.FAIL, "bad_encoding")


def test_a_status_alone_is_judged_whatever_the_encoding() -> None:
    assert look(BAD, "Content-Encoding: br\r\n", Expect.HTTP_2XX) == (Outcome.OK, "")


@pytest.mark.parametrize(("size", "reason"), [(65_536, ""), (65_537, "too_large")])
def test_an_answer_may_be_64_kib_when_it_is_unpacked(size: int, reason: str) -> None:
    assert look(packed(b" " * size), "Content-Encoding: gzip\r\n")[1] == reason


def test_a_bomb_is_too_large_and_is_not_unpacked() -> None:
    bomb = packed(b"0" * 5_000_000)
    tracemalloc.start()
    try:
        assert look(bomb, "Content-Encoding: gzip\r\n") == (Outcome.FAIL, "too_large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
