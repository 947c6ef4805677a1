"""gunicorn's threads get requests that have arrived: who sends byte by byte holds none of them."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

from instances.lib.ending import ENDING

ARRIVAL_SECONDS = 15.0  # in which head and body have to be there
SILENCE_SECONDS = 30.0  # that a thread waits for a client that does not take its answer
LINGER_SECONDS = 2.0  # that a client with its answer has to end its side: cut off earlier, it may lose some
SENT_AT_ONCE = 1024 * 1024  # bytes that the system may hold for a client: no thread waits for a slow one
LARGEST = 1024 * 1024  # bytes that are waited for here; what is larger is Django's to refuse
READ_SIZE = 64 * 1024
HEAD_END = b"\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LENGTH = re.compile(rb"^content-length:[ \t]*0*(\d{1,9})[ \t]*\r$", re.IGNORECASE | re.MULTILINE)
_ASKS_FIRST = re.compile(rb"^expect:[ \t]*100-continue[ \t]*\r$", re.IGNORECASE | re.MULTILINE)


def has_arrived(received: bytes | bytearray) -> bool:
    """Whether no thread has to wait for this request: its head is there, and a body of stated length."""
    end = received.find(HEAD_END)
    if end < 0:
        return len(received) >= READ_SIZE
    stated = _LENGTH.search(received, 0, end + 2)
    length = int(stated[1]) if stated else 0
    return len(received) >= min(end + len(HEAD_END) + length, LARGEST)


def waits_for_leave(received: bytes | bytearray) -> bool:
    """Whether the client has ended a head that says it sends the body only when told to."""
    end = received.find(HEAD_END)
    return end >= 0 and bool(_ASKS_FIRST.search(received, 0, end + 2))


def _read(client: socket.socket) -> bytes | None:
    """What came, empty where the client has gone, None where nothing has come yet."""
    try:
        return client.recv(READ_SIZE)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class _Refused:
    """Stands for the client while gunicorn writes its own page about a request: keeps the status."""

    def __init__(self) -> None:
        self.status = 500

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, page: bytes) -> None:
        self.status = int(page.split(None, 2)[1])


def refusal(status: int) -> bytes:
    """The answer to a request that can't be read: a problem document, which repeats nothing of it."""
    from instances.api import problems  # Django is set up by the time there are requests

    body = json.dumps(problems.of_status(status).document()).encode()
    lines = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close",
        f"Content-Type: {problems.CONTENT_TYPE}", f"Content-Length: {len(body)}", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + body


class ArrivalWorker(ThreadWorker):  # type: ignore[misc]
    """Collects requests on the main thread; a connection serves one of them."""

    def load_wsgi(self) -> None:
        super().load_wsgi()
        from instances.api.threads import HELD  # Django is set up by now

        HELD.fit(self.cfg.threads)

    def accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        with suppress(OSError):  # of one that has gone
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AT_ONCE)
        conn = TConn(self.cfg, client, address, listener.getsockname())
        conn.timeout = time.monotonic() + ARRIVAL_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(client, selectors.EVENT_READ, partial(self._receive, conn, bytearray()))

    def _receive(self, conn: Any, received: bytearray, client: socket.socket) -> None:
        if (data := _read(client)) is None:
            return
        had_head = HEAD_END in received
        received += data
        if data and not has_arrived(received):
            if not had_head and waits_for_leave(received):
                with suppress(OSError):
                    client.send(CONTINUE)
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if data:
            self._hand_over(conn, bytes(received))
        else:
            self.nr_conns -= 1
            util.close(client)

    def _hand_over(self, conn: Any, received: bytes) -> None:
        conn.init()
        conn.parser.unreader.unread(received)
        conn.data_ready = True
        self.enqueue_req(conn)

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """Await the client's end beside all others: gunicorn would, for each of them, on the main thread."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except OSError:  # it has gone
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self.keepalived_conns.append(conn)

    def _drain(self, conn: Any, client: socket.socket) -> None:
        if (data := _read(client)) is None:
            return
        if not data:
            self.poller.unregister(client)
            self.keepalived_conns.remove(conn)
            self.nr_conns -= 1
            conn.close()

    def handle_exit(self, sig: int, frame: Any) -> None:
        ENDING.set()  # streams end, so that nothing has to be cut off
        super().handle_exit(sig, frame)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        refused = _Refused()
        super().handle_error(req, refused, addr, exc)
        with suppress(OSError):
            client.settimeout(SILENCE_SECONDS)
            client.sendall(refusal(refused.status))

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.sock.settimeout(SILENCE_SECONDS)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:  # nobody takes the answer
            return False
