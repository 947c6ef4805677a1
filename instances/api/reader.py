"""Whether whoever asked still waits for the answer."""

from __future__ import annotations

import select
import socket

from django.http import HttpRequest

SOCKET = "gunicorn.socket"  # where the web server puts the connection
ENDED = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)  # Linux tells who sends no more


def has_gone(request: HttpRequest) -> bool:
    """Whether the connection has been closed; False where the server does not say what it is.

    Writing tells of that only at the second attempt, and a stream may have nothing to write for long.
    """
    connection: socket.socket | None = request.META.get(SOCKET)
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection, ENDED)
    return bool(poll.poll(0))
