"""A receiver of webhooks that keeps what it got and misbehaves on request."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Self

DRIP_SECONDS = 0.05
PATIENCE = 120.0


@dataclass(frozen=True)
class Got:
    """One request as it came in, at a `time.time()`. `answered` is the status, 0 when there was none."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    answered: int
    at: float = field(default_factory=time.time)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Listens on a free port of 127.0.0.1 until the `with` block ends.

    `behaviour` may change at any time: a status (200, 410, …), "hang" (never answers), "drip" (an
    endless head, a byte at a time) or "close" (hangs up without a word). `headers` go with a status.
    What `first` holds is used up before, one for each request.
    """

    def __init__(self, behaviour: int | str = 200, *, tls: ssl.SSLContext | None = None) -> None:
        self.behaviour: int | str = behaviour
        self.first: list[int | str] = []
        self.headers: dict[str, str] = {}
        self.got: list[Got] = []
        self.stopped = threading.Event()
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")
        self.port: int = self._server.server_port
        self._scheme = "jsons" if tls else "json"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        end(self._server)
        self._thread.join()

    def url(self, path: str = "/hook") -> str:
        """An Apprise URL of this receiver."""
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"

    @property
    def accepted(self) -> list[Any]:
        """The documents that were answered with 2xx, in order."""
        return [got.document for got in list(self.got) if 200 <= got.answered < 300]

    def wait_for(self, enough: Callable[[Receiver], bool], patience: float = PATIENCE) -> None:
        """Until `enough` is true of what came in; fails after `patience` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self), timeout=patience):
                raise AssertionError(f"after {patience:g} s there were only {self.got}")

    def keep(self, got: Got) -> None:
        with self._changed:
            self.got.append(got)
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that leave are what some tests are about."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            behaviour = receiver.first.pop(0) if receiver.first else receiver.behaviour
            status = behaviour if isinstance(behaviour, int) else 0
            receiver.keep(Got(self.command, self.path, dict(self.headers.items()), body, status))
            self.close_connection = True
            if status:
                self._answer(status)
            else:
                {"hang": self._hang, "drip": self._drip, "close": self._hang_up}[str(behaviour)]()

        do_PUT = do_GET = do_POST

        def _answer(self, status: int) -> None:
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _hang(self) -> None:
            """Until the client leaves or the test ends."""
            self.connection.settimeout(DRIP_SECONDS)
            while not receiver.stopped.is_set():
                with suppress(TimeoutError):
                    if not self.connection.recv(1):
                        return

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not receiver.stopped.wait(DRIP_SECONDS):
                self.wfile.write(b"z")

        def _hang_up(self) -> None:
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test looks at `got`."""

    return Handler


def end(server: TCPServer) -> None:
    """End what serves forever: it looks twice a second whether it should, and when its socket wakes it."""
    with suppress(OSError):  # it may listen no more
        server.socket.shutdown(socket.SHUT_RDWR)
    server.shutdown()
    server.server_close()


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and how many seconds it took."""
    began = time.monotonic()
    return work(), time.monotonic() - began
