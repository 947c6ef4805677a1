"""A request is handed to a thread when none of it has to be waited for."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import deque
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from gunicorn.workers.gthread import TConn

from dockmgr.web_worker import (
    CONTINUE,
    LARGEST,
    LINGER_SECONDS,
    READ_SIZE,
    ArrivalWorker,
    has_arrived,
    waits_for_leave,
)

TOP = Path(__file__).resolve().parents[3]
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
    "half a body, of a length with zeros": (HEAD + b"Content-Length: 0000000002\r\n\r\na", False),
    "more than it": (HEAD + b"Content-Length: 2\r\n\r\nabc", True),
    "a length in the body": (HEAD + b"\r\nContent-Length: 9\r\n\r\n", True),
    "a length that is none": (HEAD + b"Content-Length: -1\r\n\r\n", True),
    "as much as is waited for": (HEAD + b"Content-Length: 99999999\r\n\r\n" + b"a" * LARGEST, True),
}


@pytest.mark.parametrize(("received", "arrived"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_request_has_arrived_when_nothing_of_it_is_missing(received: bytes, arrived: bool) -> None:
    assert has_arrived(received) is arrived


@pytest.mark.parametrize(
    ("received", "waits"), [(ASKING, True), (ASKING[:-1], False), (HEAD + b"\r\n", False)]
)
def test_who_asks_before_the_body_has_ended_the_head(received: bytes, waits: bool) -> None:
    assert waits_for_leave(received) is waits


class Client:
    """Sends what it is given piece by piece, and keeps what it is told."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces, self.told = list(pieces), b""

    def recv(self, size: int) -> bytes:
        assert size == READ_SIZE
        return self._pieces.pop(0)

    def send(self, data: bytes) -> None:
        self.told += data


class Counted(bytearray):
    """What was received, and how often all of it was copied."""

    copies = 0

    def __bytes__(self) -> bytes:
        self.copies += 1
        return bytes(memoryview(self))


def test_who_asks_is_answered_once_and_nothing_is_copied_for_a_byte() -> None:
    waiting = ASKING.replace(b"2", b"%d" % LARGEST)
    worker, received = ArrivalWorker.__new__(ArrivalWorker), Counted()
    client: Any = Client(waiting[:-1], waiting[-1:], b"a", b"b")
    for _ in range(4):
        worker._receive(None, received, client)
    assert (client.told, bytes(bytearray(received)), received.copies) == (CONTINUE, waiting + b"ab", 0)


class Serving(ArrivalWorker):
    """What a worker has of its connections, without processes and threads."""

    def __init__(self) -> None:
        self.nr_conns, self.poller = 1, selectors.DefaultSelector()
        self.keepalived_conns: deque[TConn] = deque()


@pytest.mark.parametrize("is_polite", [True, False])
def test_who_keeps_his_side_open_holds_up_nobody_and_is_cut_off(is_polite: bool) -> None:
    ours, client = socket.socketpair()
    worker, done = Serving(), Future[bool]()
    done.set_result(False)
    conn = TConn(SimpleNamespace(keepalive=0), ours, None, None)
    with closing(client), closing(worker.poller):
        client.sendall(b"more")
        began = time.monotonic()
        worker.finish_request(conn, done)
        assert time.monotonic() - began < LINGER_SECONDS / 2
        assert (client.recv(1), worker.nr_conns) == (b"", 1)
        if is_polite:
            client.close()
            while worker.nr_conns:
                worker.wait_for_and_dispatch_events(1.0)
        conn.timeout -= LINGER_SECONDS
        worker.murder_keepalived()
        assert (worker.nr_conns, ours.fileno(), len(worker.poller.get_map())) == (0, -1, 0)


def test_who_has_gone_is_not_waited_for() -> None:
    ours, client = socket.socketpair()
    client.close()
    ours.close()
    worker, done = Serving(), Future[bool]()
    done.set_result(False)
    with closing(worker.poller):
        gone: Any = SimpleNamespace(sock=ours, close=lambda: None)
        worker.finish_request(gone, done)
    assert (worker.nr_conns, len(worker.keepalived_conns)) == (0, 0)


def test_the_proxy_the_web_process_and_django_take_as_much() -> None:
    bounds = re.findall(
        r"^\s+(?:max_size|request_buffers) (\w+)$", (TOP / "deploy/Caddyfile").read_text(), re.M
    )
    assert bounds == ["1MiB", "1MiB"]
    assert LARGEST == settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 1024**2
    assert "a body of over 1 MiB" in (TOP / "docs/production.md").read_text()
