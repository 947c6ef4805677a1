"""A way to a server that can fall silent: what is sent is taken, and nothing comes through any more."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.real.door import serve_all

CHUNK = 65_536


class SilentPath:
    """A gateway before the server at `target`; `port` is its own. It accepts also while it is silent."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])
        self._speaks = threading.Event()
        self._speaks.set()
        self._ends: list[socket.socket] = []

    def fall_silent(self) -> None:
        self._speaks.clear()

    def speak(self) -> None:
        self._speaks.set()

    @contextmanager
    def running(self) -> Iterator[SilentPath]:
        thread = threading.Thread(target=serve_all, args=(self._door, self._serve))
        thread.start()
        try:
            yield self
        finally:
            self.speak()
            for end in [*self._ends, self._door]:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            thread.join()
            self._door.close()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            self._ends += [client, server]
            back = threading.Thread(target=self._carry, args=(server, client))
            back.start()
            self._carry(client, server)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._speaks.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
