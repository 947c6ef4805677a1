"""Keeps child processes running: their output prefixed with their name, restarted when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev.servers import watcher
from dev.servers.process import watch

FIRST_WAIT = 1.0  # seconds before a child that ended is started again; doubled from time to time
LONGEST_WAIT = 60.0
STEADY = 60.0  # a child that ran this long starts again after the first wait
STOP_TIMEOUT = 15.0
WATCHER = Path(watcher.__file__)


@dataclass(frozen=True)
class Program:
    """What to run; `pass_fds` are descriptors the child inherits."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    pass_fds: Sequence[int] = ()


class Supervisor:
    """Runs programs until `stop`. Each lives in a session of its own, so Ctrl-C reaches only this process.

    If this process is killed, watchers end the children.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._guards: dict[str, subprocess.Popen[bytes] | None] = {}
        self._threads: list[threading.Thread] = []

    def run(self, program: Program) -> None:
        """Start the program, and again after it ends, with growing waits."""
        thread = threading.Thread(target=self._keep, args=(program,), name=program.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """End all children: TERM, then KILL for children that take longer than 15 seconds."""
        with self._lock:
            self._stopping.set()
            children = [child for child in self._children.values() if child.poll() is None]
        deadline = time.monotonic() + STOP_TIMEOUT
        for child in children:
            child.terminate()
        for child in children:
            _end(child, deadline - time.monotonic())
        for thread in self._threads:
            if thread.is_alive():  # Ctrl-C may have come between making it and starting it
                thread.join(STOP_TIMEOUT)

    def say(self, name: str, text: str) -> None:
        """One line of output under that name."""
        with self._lock:
            sys.stdout.write(f"{name:<11}| {text.rstrip()}\n")
            sys.stdout.flush()

    def _keep(self, program: Program) -> None:
        wait = FIRST_WAIT
        while (child := self._start(program)) is not None:
            began = time.monotonic()
            code = self._see_through(program, child)
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= STEADY:
                wait = FIRST_WAIT
            self.say(program.name, f"ended with exit code {code}; it starts again in {wait:g} s")
            self._stopping.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    def _start(self, program: Program) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            child = subprocess.Popen(  # noqa: S603 our own command lines
                program.command,
                env=program.environ,
                cwd=program.folder,
                pass_fds=program.pass_fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._children[program.name] = child
            self._guards[program.name] = watch(WATCHER, [str(int(signal.SIGTERM))], children=[child.pid])
            return child

    def _see_through(self, program: Program, child: subprocess.Popen[str]) -> int:
        assert child.stdout is not None  # noqa: S101
        with child.stdout as output:
            for line in output:
                self.say(program.name, line)
        code = child.wait()
        if guard := self._guards[program.name]:
            guard.wait()
        return code


def _end(child: subprocess.Popen[str], seconds: float) -> None:
    """Return when a child that was told to end is gone, with everything it started."""
    with suppress(subprocess.TimeoutExpired):
        child.wait(max(0.0, seconds))
    with suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
