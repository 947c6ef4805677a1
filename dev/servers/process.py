"""A server as a child process: it has a log, is waited for, and ends with the process that wanted it."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dev.servers.failures import PortLost, ServerFailed

LOG_LINES = 10
_POLL = 0.02  # seconds
_WATCHER = Path(__file__).with_name("watcher.py")


class ServerProcess:
    """A started server, in a session of its own so that Ctrl-C reaches its owner alone.

    `name` is what error sentences call it; its output is appended to `log`. With `user` it runs as
    that account. If this process is killed, a watcher ends the server and removes `folders`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        user: str | None = None,
        folders: Sequence[Path] = (),
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self._log = log
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._child = subprocess.Popen(  # noqa: S603 our own command lines
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                extra_groups=[] if user else None,
            )
        arguments = [str(int(stop_signal)), *map(str, folders)]
        self._watcher = watch(_WATCHER, arguments, children=[self._child.pid])

    @property
    def pid(self) -> int:
        return self._child.pid

    def output(self) -> str:
        """What this start of the server has written so far."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], seconds: float = 20) -> None:
        """Return when `ready()`; `ServerFailed` when the server ends first or `seconds` pass."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._child.poll() is not None:
                raise self._failure(f"ended with exit code {self._child.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {seconds:g} seconds")
            time.sleep(_POLL)

    def ended(self, seconds: float | None = None) -> bool:
        """Whether it has ended, or does within `seconds`; without a number it is waited for."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, seconds: float = 10) -> None:
        """End it: its stop signal, then KILL after `seconds`. A server that has ended already is fine."""
        self._child.send_signal(self._stop_signal)
        if not self.ended(seconds):
            self._child.kill()
        self.reap()

    def kill(self) -> None:
        """End it with KILL, at once."""
        self._child.kill()
        self.reap()

    def signal(self, number: int) -> None:
        """Send it a signal; a server that has ended already gets none."""
        self._child.send_signal(number)

    def reap(self) -> None:
        """Return when it and its watcher are gone."""
        self._child.wait()
        if self._watcher:
            self._watcher.wait()

    def _failure(self, what: str) -> ServerFailed:
        last = self.output().splitlines()[-LOG_LINES:]
        kind = PortLost if "already in use" in "\n".join(last).lower() else ServerFailed
        return kind("\n".join([f"{self.name} {what}.", *last]))


def watch(
    script: Path, arguments: Sequence[str], children: Sequence[int] = ()
) -> subprocess.Popen[bytes] | None:
    """Run `script FD… ARGUMENTS` apart from us; the descriptors are pidfds of this process and `children`.

    Threads rule out PR_SET_PDEATHSIG: it fires when the thread that forked ends. None where there are
    no pidfds.
    """
    if sys.platform != "linux":
        return None
    descriptors = [os.pidfd_open(pid) for pid in (os.getpid(), *children)]
    try:
        return subprocess.Popen(  # noqa: S603 our own script
            [sys.executable, "-I", "-S", str(script), *map(str, descriptors), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=descriptors,
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
