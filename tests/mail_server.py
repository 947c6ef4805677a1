"""A mail server that keeps whom it delivered to, and does not know some."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from tests.receiver import end

_REPLIES = {
    "EHLO": "250-here\r\n250 AUTH PLAIN",
    "AUTH": "235 ok",
    "DATA": "354 go on",
    "QUIT": "221 bye",
}
_RECIPIENT = re.compile(r"RCPT TO:<(.+?)>", re.IGNORECASE)


class MailServer:
    """Listens on a free port of 127.0.0.1 until the `with` block ends; `got` are those who got a message.

    `replies` are other ones than usual, by the word they answer (`MAIL`, `AUTH`).
    """

    def __init__(self, unknown: Iterable[str] = (), **replies: str) -> None:
        self.got: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self, set(unknown), {**_REPLIES, **replies}))
        self._thread = threading.Thread(target=self._server.serve_forever, name="mail-server")

    def url(self, *recipients: str) -> str:
        """The URL of a channel that mails all of them, each by himself."""
        place = f"127.0.0.1:{self._server.server_address[1]}"
        to = ",".join(recipients)
        return f"mailto://user:password@{place}?smtp=127.0.0.1&from=dockmgr@example.com&to={to}&mode=insecure"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self._server)
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def _handler(
    mail: MailServer, unknown: set[str], replies: Mapping[str, str]
) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            waiting: list[str] = []
            self._say("220 here")
            for line in self.rfile:
                text = line.decode("latin-1").strip()
                word = text[:4].upper()
                if found := _RECIPIENT.match(text):
                    is_known = found[1] not in unknown
                    waiting += [found[1]] if is_known else []
                    self._say("250 ok" if is_known else "550 5.1.1 no such user")
                    continue
                self._say(replies.get(word, "250 ok"))
                if word == "DATA":
                    while self.rfile.readline().strip() != b".":
                        pass
                    mail.got += waiting
                    waiting = []
                    self._say("250 ok")
                if word == "QUIT":
                    return

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    return Handler
