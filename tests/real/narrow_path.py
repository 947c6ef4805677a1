"""A way to a registry that lets a little through, then nothing, and can be cut and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from tests.real.door import serve_all

LITTLE = 200_000  # bytes of a connection's answers
CHUNK = 16_384
GATEWAY_ERROR = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class State(Enum):
    NARROW = "lets a little of each answer through"
    BROKEN = "answers that nobody is behind it"
    OPEN = "lets everything through"


class NarrowPath:
    """A gateway before the server at `target` (HOST:PORT); `address` is its own."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._door.getsockname()[1]}"
        self.under_way = threading.Event()  # a large answer has begun, and waits
        self._state, self._was_cut = State.NARROW, threading.Event()
        self._connections: list[socket.socket] = []

    def cut(self, state: State) -> None:
        """End what is under way; whoever comes next finds the path in this state."""
        self._state = state
        self._was_cut.set()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def running(self) -> Iterator[NarrowPath]:
        thread = threading.Thread(target=serve_all, args=(self._door, self._serve))
        thread.start()
        try:
            yield self
        finally:
            self.cut(State.OPEN)
            self._door.shutdown(socket.SHUT_RDWR)
            thread.join()
            self._door.close()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = None if self._state is State.BROKEN else socket.create_connection(self._target)
            except ConnectionRefusedError:  # it stands still between two starts
                server = None
            if server is None:
                client.recv(CHUNK)
                client.sendall(GATEWAY_ERROR)
                return
            with server:
                self._connections += [client, server]
                back = threading.Thread(target=self._carry, args=(server, client, True))
                back.start()
                self._carry(client, server, False)
                back.join()

    def _carry(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                carried += len(data)
                if answers and carried > LITTLE and self._state is State.NARROW:
                    self.under_way.set()
                    self._was_cut.wait()
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
