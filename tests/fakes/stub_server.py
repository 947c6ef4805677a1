"""A scripted HTTP server: each request is answered by what the test wrote down for its path."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.receiver import end


@dataclass(frozen=True)
class Answer:
    """`body` as it stands; with `cut_off` more is announced than comes, then the connection ends."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    cut_off: bool = False


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode())


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # by default, callers that come at once are turned away

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may leave at any moment
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class StubServer:
    """`asked` is every request in order ("GET /path"); `answer` decides, None is a bare 404."""

    def __init__(self, answer: Callable[[str], Answer | None], tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def answer(self, method: str, path: str) -> Answer:
        self.asked.append(f"{method} {path}")
        return self._answer(path) or Answer(404, b'{"message": "page not found"}')

    def stop_listening(self) -> None:
        """Nobody new is let in; whoever is in gets the answer."""
        self._server.socket.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def running(self) -> Iterator[StubServer]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            end(self._server)
            thread.join()


def _handler(stub: StubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # Who speaks TLS to it is told in HTTP that it does not, as by any other server.
        default_request_version = "HTTP/1.0"

        def do_GET(self) -> None:
            answer = stub.answer(self.command, self.path.partition("?")[0])
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body) + answer.cut_off))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test looks at `asked`."""

    return Handler
