"""Sockets of connections that failed: the SDK leaves one open when a unix socket refuses."""

from __future__ import annotations

import socket
import traceback

from instances.engine.wording import causes


def close_sockets(error: BaseException) -> None:
    """Close what the calls that failed with `error` still hold; otherwise it stays open until collected."""
    for cause in causes(error):
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, socket.socket):
                    value.close()
