"""What gateways share: a door that callers come through, each served on a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


def serve_all(door: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    """Serve who comes, until somebody shuts the door down; returns when all who came are served."""
    threads = []
    with contextlib.suppress(OSError):
        while True:
            client, _ = door.accept()
            threads.append(threading.Thread(target=serve, args=(client,)))
            threads[-1].start()
    for thread in threads:
        thread.join()
