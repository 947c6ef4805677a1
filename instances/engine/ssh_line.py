"""HTTP through the machine's own `ssh`, which knows keys, agents and known hosts.

What `ssh` and the far side say is kept, so that a failure can be told in words.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from typing import IO, Any

import requests.adapters
import urllib3.connection

from instances.engine.ssh import NO_PROGRAM, SshFailed

_LAST_WORDS = 1.0  # seconds `ssh` may take to end once its line has
_MOST_WORDS = 8192


class _Ssh:
    """One `ssh` at the other end of `line`. It ends when that is closed, also when this process is killed."""

    def __init__(self, words: Sequence[str], line: socket.socket) -> None:
        self._said = b""
        self._begun, self._over = threading.Event(), threading.Event()
        self._failure: OSError | None = None
        said = tempfile.TemporaryFile()  # noqa: SIM115 the thread closes it
        # A thread of its own waits for it: otherwise it would stay behind as a zombie.
        threading.Thread(target=self._run, args=(words, line, said), name="ssh", daemon=True).start()
        self._begun.wait()
        if isinstance(self._failure, FileNotFoundError | PermissionError):
            raise SshFailed(NO_PROGRAM) from self._failure
        if self._failure is not None:
            raise self._failure

    def _run(self, words: Sequence[str], line: socket.socket, said: IO[bytes]) -> None:
        with said:
            try:
                process = subprocess.Popen(  # noqa: S603 our own command line
                    words, stdin=line.fileno(), stdout=line.fileno(), stderr=said, start_new_session=True
                )
            except OSError as error:
                self._failure = error
                return
            finally:
                self._begun.set()
            process.wait()
            said.seek(0)
            self._said = said.read(_MOST_WORDS)
        self._over.set()

    def last_words(self) -> str:
        """What it said, once it has ended; it is given a moment for that."""
        self._over.wait(_LAST_WORDS)
        return self._said.decode(errors="replace")


class _Line(urllib3.connection.HTTPConnection):
    """HTTP through one `ssh`."""

    def __init__(self, words: Sequence[str], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._words = words
        self._ssh: _Ssh | None = None

    def connect(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._ssh = _Ssh(self._words, theirs)
        ours.settimeout(self.timeout)
        self.sock = ours

    def request(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().request(*args, **kwargs)
        except OSError as error:
            raise self._told(error) from error

    def getresponse(self) -> Any:
        try:
            return super().getresponse()
        except (OSError, HTTPException) as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError | SshFailed) or self._ssh is None:
            return error
        return SshFailed(self._ssh.last_words())


class _Lines(urllib3.connectionpool.HTTPConnectionPool):
    def __init__(self, words: Sequence[str], timeout: float, most: int) -> None:
        super().__init__("localhost", timeout=timeout, maxsize=most)
        self._words, self._timeout = words, timeout

    def _new_conn(self) -> Any:
        return _Line(self._words, self._timeout)


class SshAdapter(requests.adapters.HTTPAdapter):
    """Takes requests to the engine at the end of `words`, the command of one `ssh`."""

    def __init__(self, words: Sequence[str], timeout: float, max_pool_size: int) -> None:
        self._lines = _Lines(words, timeout, max_pool_size)
        super().__init__()

    def get_connection_with_tls_context(self, *_args: Any, **_kwargs: Any) -> Any:
        return self._lines

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        return str(request.path_url)

    def close(self) -> None:
        self._lines.close()
        super().close()
