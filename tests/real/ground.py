"""What there is to break under a fleet: processes, servers, images and a clock."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from dev.servers import EngineServer, redis_server
from tests.real.commands import Process
from tests.real.fleet import Fleet, end
from tests.real.images import Shelf
from tests.real.live import wait_until

QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
WORKERS = {
    "health": ("-Q", "health,notifications", "-P", "threads", "-c", "16"),
    "operations": ("-Q", "operations", "-P", "threads", "-c", "8"),
    "stepping": ("-P", "threads", "-c", "8"),
}


class Broker:
    """A Redis that forgets everything when it is restarted, at the same address."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self._folder, self._socket = folder, socket
        self._running = ExitStack()
        self.url = self.start()

    def start(self) -> str:
        return self._running.enter_context(redis_server(self._folder, socket=self._socket))

    def stop(self) -> None:
        self._running.close()


@dataclass
class Ground:
    """What there is to break."""

    fleet: Fleet
    engine: EngineServer
    broker: Broker
    shelf: Shelf
    clock: Path
    images: dict[str, str]
    running: dict[str, Process] = field(default_factory=dict)

    def start_process(self, name: str) -> None:
        log = self.fleet.home / f"{name}.log"
        if name == "beat":
            words: tuple[str, ...] = ("-A", "dockmgr", "beat", "--pidfile", "")
        else:
            unique = f"{self.fleet.prefix}-{name}-{random.getrandbits(24):06x}@test"
            words = ("-A", "dockmgr", "worker", "-n", unique, *WORKERS[name], *QUIET)
        if name == "stepping":
            module = ("-m", "tests.real.stepping_clock", str(self.clock))
            self.running[name] = self.fleet.start(*module, *words, environ={"PYTHONUNBUFFERED": "1"}, log=log)
        else:
            self.running[name] = self.fleet.start("-m", "celery", *words, log=log)

    def exit_codes(self) -> dict[str, int | None]:
        """How each process ended; None for one that goes on."""
        return {name: process.poll() for name, process in self.running.items()}

    def what_threads_do(self) -> str:
        """Where every thread of the workers is, which Celery tells on SIGUSR1."""
        logs = {name: self.fleet.home / f"{name}.log" for name in WORKERS}
        marks = {name: len(log.read_text()) for name, log in logs.items()}
        for name in WORKERS:
            os.kill(self.running[name].pid, signal.SIGUSR1)
        with suppress(AssertionError):  # one that hangs in C tells nothing
            wait_until(
                lambda: all("MainThread" in log.read_text()[marks[name] :] for name, log in logs.items()), 10
            )
        return "\n".join(log.read_text()[marks[name] :] for name, log in logs.items())

    def last_lines(self, name: str) -> str:
        """What a process said last."""
        return "\n".join((self.fleet.home / f"{name}.log").read_text().splitlines()[-20:])

    def set_clock(self, ahead: int) -> None:
        """Let the clock of one process be so many seconds ahead from now on."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(ahead))
        new.rename(self.clock)

    def end_processes(self) -> None:
        for process in self.running.values():
            end(process)

    def crash_database(self) -> None:
        """A session's process is killed: the server ends all others and starts again from its log."""
        with suppress(psycopg.Error), psycopg.connect(str(self.fleet.database_url)) as server:
            os.kill(server.info.backend_pid, signal.SIGKILL)
            server.execute("SELECT 1")
