"""The short ways of reading a plain address and a plain answer say what the usual ones say."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from instances.http.encoding import decoded
from instances.http.exchange import _parts, _plain_parts
from instances.http.http1 import HEAD_LIMIT, AnswerError, Reading, Wire, plain_body, read_body, read_head
from tests.cpu import costs_less_than

USUAL = {
    "http://127.0.0.1:20001/health": ("http", "127.0.0.1", 20001, "/health"),
    "http://10.0.0.7": ("http", "10.0.0.7", None, "/"),
    "https://10.0.0.7:64999/a/b.c~d/": ("https", "10.0.0.7", 64999, "/a/b.c~d/"),
    "tcp://10.0.0.7:5432": ("tcp", "10.0.0.7", 5432, "/"),
}
LEFT_TO_THE_USUAL_WAY = (
    "http://10.0.0.7:65536/", "http://10.0.0.7/?a=b", "http://10.0.0.7/a b", "http://10.0.0.7/%2f",
    "HTTP://10.0.0.7/", "http://u@10.0.0.7/", "http://example.com/", "http://[::1]/", "http://10.0.0.7/#a",
    "http://10.0.0.7/a\n", "ftp://10.0.0.7/",
)  # fmt: skip


@pytest.mark.parametrize("url", USUAL)
def test_a_plain_address_is_read_the_short_way(url: str) -> None:
    assert _plain_parts(url) == _parts(url) == USUAL[url]


@pytest.mark.parametrize("url", LEFT_TO_THE_USUAL_WAY)
def test_any_other_is_left_to_the_usual_way(url: str) -> None:
    assert _plain_parts(url) is None


numbers = st.text("0123456789", min_size=1, max_size=3)
ports = st.integers(0, 64_999).map(str) | st.sampled_from(["0080", "000"])
paths = st.just("") | st.text("aZ9._~-/", max_size=12).map("/{}".format)


@given(st.sampled_from(["http", "https", "tcp"]), st.tuples(*[numbers] * 4), st.none() | ports, paths)
@example("http", ("0", "0", "0", "0"), "0080", "//")
@example("http", ("999", "999", "999", "999"), "64999", "/..")
def test_both_ways_say_the_same(scheme: str, host: tuple[str, ...], port: str | None, path: str) -> None:
    url = f"{scheme}://{'.'.join(host)}{'' if port is None else f':{port}'}{path}"
    assert _plain_parts(url) == _parts(url)


def _in_one_piece(data: bytes) -> bytes | str:
    """The body as read the usual way from what came at once, or the code of why there is none."""
    reading = _body(Wire())
    next(reading)
    try:
        reading.send(data)
    except StopIteration as end:
        return bytes(end.value)
    except AnswerError as error:
        return error.reason
    return "more is to come"


def _body(wire: Wire) -> Reading[bytes]:
    status, headers = yield from read_head(wire)
    assert status == 200
    return decoded((yield from read_body(wire, headers)), headers)


WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}": b"{}",
    b"HTTP/1.0 200\r\nServer: nginx\r\ncontent-type: a/b\r\nCONTENT-LENGTH:2\r\nA: b\r\n\r\n{} more": b"{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n": b"",
    b"HTTP/1.1 200 OK\r\nContent-Language: en\r\ncontent-length: 1\r\nContent-Type: a/b\r\n\r\nx": b"x",
}
LEFT_TO_THE_USUAL_READING = (
    b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", b"HTTP/1.1 201 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nnonsense\r\n\r\n{}", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537, b"SSH-2.0-OpenSSH\r\n",
)  # fmt: skip
PIECES = (
    b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b"204", b" OK", b"\r\n", b"\n", b"Content-Length: 2", b":", b"\0",
    b"content-length:0", b"Content-Type: text/plain", b"X-A: b", b" ", b"Transfer-Encoding: chunked", b"{}",
    b"Content-Encoding: gzip", b"\r\n\r\n", b"Content-Length: +2", b"Server:",
)  # fmt: skip
NAMES = (b"a", b"Server", b"X-A", b"Content-Type", b"Content-Language", b"Connection", b"Content-Encoding")


@pytest.mark.parametrize("answer", WHOLE)
def test_an_answer_in_one_piece_is_read_the_short_way(answer: bytes) -> None:
    assert plain_body(answer) == _in_one_piece(answer) == WHOLE[answer]


@pytest.mark.parametrize("answer", LEFT_TO_THE_USUAL_READING)
def test_any_other_is_left_to_the_usual_reading(answer: bytes) -> None:
    assert plain_body(answer) is None


@pytest.mark.parametrize("first", [b"", b"Content-Length: 2\r\n"])
def test_an_answer_of_many_headers_takes_linear_time(first: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + first + b"X-More: y\r\n" * 4000
    assert plain_body(answer) is None
    assert costs_less_than(0.1, lambda: plain_body(answer)), "it takes under a millisecond when linear"


lines = st.lists(
    st.tuples(st.sampled_from(NAMES), st.binary(max_size=6)).map(b"%b:%b\r\n".__mod__), max_size=3
).map(b"".join)
lengths = st.sampled_from([b"Content-Length: 0", b"content-length:2", b"CONTENT-LENGTH:07"])
wholes = st.tuples(
    st.sampled_from([b"\r\n", b" \r\n", b" OK\r\n", b" \0\xff\r\n"]), lines, lengths, st.just(b"\r\n"), lines,
    st.just(b"\r\n"), st.binary(min_size=7, max_size=9),
).map(b"".join)  # fmt: skip


def test_a_long_header_that_comes_byte_by_byte_takes_linear_time() -> None:
    def read() -> None:
        reading = _body(Wire())
        next(reading)
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 16_000:
            reading.send(bytes([byte]))

    assert costs_less_than(0.3, read), "it takes hundredths of a second when linear"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed"), (b"\r", "closed"), (b"HTTP/1.1 200 OK\r\nA: b\r\n\r", "closed"),
        (b"HTTP/1.1 200 OK\r\nA: b", "closed"), (b"HTTP/1.1 200 OK\r\nA", "closed"),
        (b"\r\n", "bad_response"), (b"garbage", "bad_response"),
    ],
)  # fmt: skip
def test_a_head_that_ends_too_early_is_told_from_what_is_no_head(answer: bytes, why: str) -> None:
    reading = _body(Wire())
    next(reading)
    with pytest.raises(AnswerError) as error:
        for part in (answer, b"", b""):  # what is closed stays so
            reading.send(part)
    assert error.value.reason == why


@pytest.mark.parametrize("line", [b"A: b\r\n", b"A:\n", b"A:" + b"\r" * 500 + b"\n"])
def test_all_bytes_of_a_head_count(line: bytes) -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    fit = (HEAD_LIMIT - len(first) - 2) // len(line)
    assert _in_one_piece(first + fit * line + b"\r\n") == b""
    assert _in_one_piece(first + (fit + 2) * line + b"\r\n") == "bad_response"


@given(st.lists(st.sampled_from(PIECES)).map(b"".join) | wholes)
def test_what_is_read_the_short_way_is_what_is_read_the_usual_way(rest: bytes) -> None:
    answer = b"HTTP/1.1 200" + rest
    assert plain_body(answer) in (None, _in_one_piece(answer))
