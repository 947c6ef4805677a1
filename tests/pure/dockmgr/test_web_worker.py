"""A request is handed to a thread when none of it has to be waited for."""

from __future__ import annotations

import pytest

from dockmgr.web_worker import LARGEST, READ_SIZE, has_arrived, waits_for_leave

HEAD = b"POST /a HTTP/1.1\r\nHost: localhost\r\n"
ASKING = HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"

REQUESTS: dict[str, tuple[bytes, bool]] = {
    "nothing": (b"", False),
    "half a head": (HEAD, False),
    "a head without end": (b"x" * READ_SIZE, True),
    "a head": (HEAD + b"\r\n", True),
    "no body yet": (HEAD + b"Content-Length: 2\r\n\r\n", False),
    "half a body": (HEAD + b"content-length:2\r\n\r\na", False),
    "all of it": (HEAD + b"Content-Length: 2 \r\n\r\nab", True),
    "more than it": (HEAD + b"Content-Length: 2\r\n\r\nabc", True),
    "a length in the body": (HEAD + b"\r\nContent-Length: 9\r\n\r\n", True),
    "a length that is none": (HEAD + b"Content-Length: -1\r\n\r\n", True),
    "as much as is waited for": (HEAD + b"Content-Length: 99999999\r\n\r\n" + b"a" * LARGEST, True),
}


@pytest.mark.parametrize(("received", "arrived"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_has_arrived_when_nothing_of_it_is_missing(received: bytes, arrived: bool) -> None:
    assert has_arrived(received) is arrived


@pytest.mark.parametrize(
    ("before", "received", "waits"),
    [(b"", ASKING, True), (ASKING[:-1], ASKING, True), (ASKING, ASKING + b"a", False), (b"", HEAD, False)],
)
def test_who_asks_before_the_body_is_answered_once(before: bytes, received: bytes, waits: bool) -> None:
    assert waits_for_leave(before, received) is waits
