"""Commands, workers and beat as forks of a process that has imported all: starting cost more than working.

Each is a process of its own with its own environment, streams, arguments and exit code.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NoReturn, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "manage.py"
PATIENCE = 300  # seconds for one command
LARGEST = 100_000  # bytes of an order
# What they import that can be had before there are settings.
LIBRARIES = (
    "celery.apps.beat", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork",
    "celery.concurrency.thread", "celery.worker.components", "celery.worker.consumer", "cryptography.fernet",
    "django.contrib.postgres.fields", "django.contrib.postgres.forms", "django.core.management",
    "django.test.client", "django.views.generic", "docker", "kombu.transport.redis", "psycopg",
    "pydantic.main", "rich.console", "rich.progress", "yaml",
)  # fmt: skip
# What workers and beat import besides.
SETTLED = (
    "celery.backends.redis", "django_celery_beat.schedulers", "dockmgr.celery",
    "instances.engine.docker_engine",
)  # fmt: skip


class Forked:
    """A process in a session of its own that is no child of this one; otherwise used as a `Popen`."""

    def __init__(self, words: Sequence[str], news: socket.socket) -> None:
        self.args, self._news = [sys.executable, *words], news
        told = news.recv(LARGEST)
        assert told, "the process that forks has ended"
        self.pid = int(told)
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative when a signal ended it."""
        if self.returncode is None:
            if not select.select([self._news], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            told = self._news.recv(LARGEST)
            self._news.close()
            assert told, "who waits for it has ended"
            self.returncode = int(told)
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process: TypeAlias = "subprocess.Popen[bytes] | Forked"


class Commands:
    """Runs programs in one environment, also several at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            _send(_forker(), {"environ": dict(environ)}, [theirs.fileno()])

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a `manage.py` command to its end, whatever its exit code."""
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write((stdin or "").encode())
            given.seek(0)
            files = [given.fileno(), out.fileno(), err.fileno()]
            process = self.start(PROGRAM, *words, streams=files, patience=PATIENCE)
            return subprocess.CompletedProcess(process.args, process.wait(), _all(out), _all(err))

    def start(self, *words: str, streams: Sequence[int], patience: int = 0) -> Forked:
        """Start `python …` with the three standard streams; the caller ends it, or its patience (seconds)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            _send(self._orders, {"words": words, "patience": patience}, [*streams, theirs.fileno()])
        return Forked(words, ours)

    def close(self) -> None:
        """Nothing new is started: the process that forks for them ends."""
        self._orders.close()


def _all(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _send(orders: socket.socket, order: dict[str, Any], files: Sequence[int]) -> None:
    socket.send_fds(orders, [json.dumps(order).encode()], files)


@functools.cache
def _forker() -> socket.socket:
    """Where orders for new environments go; the process behind it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=ROOT, env={"PATH": os.environ["PATH"]}, pass_fds=[theirs.fileno()], start_new_session=True,
        )  # fmt: skip
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def main() -> None:
    """Fork for each environment, and again for each program in it, until nobody can send orders any more."""
    for name in LIBRARIES:
        importlib.import_module(name)
    order, files = _next_order(socket.socket(fileno=int(sys.argv[1])))
    if "environ" in order:
        _prepare(order["environ"])
        order, files = _next_order(socket.socket(fileno=files[0]))
    if "words" in order:
        _report(files)
        signal.alarm(order["patience"])
        _be(order["words"])


def _next_order(orders: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Returns in a new process for each order, with its files; at last, without an order, in this one."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    gc.freeze()  # else the end of each process would look through, and so copy, all that there is
    while True:
        data, files, _, _ = socket.recv_fds(orders, LARGEST, 4)
        if not data:
            return {}, []
        if os.fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return json.loads(data), files
        for file in files:
            os.close(file)


def _prepare(environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update({"DJANGO_SETTINGS_MODULE": "dockmgr.settings", **environ})
    importlib.import_module("django").setup()
    commands = importlib.import_module("instances.management.commands")
    for module in pkgutil.iter_modules(commands.__path__, "instances.management.commands."):
        importlib.import_module(module.name)
    for name in SETTLED:
        importlib.import_module(name)


def _report(files: list[int]) -> None:
    """Returns in a new process that has the streams; this one tells of it, waits for its end, and ends."""
    *streams, theirs = files
    pid = os.fork()
    if pid:
        _tell(pid, socket.socket(fileno=theirs), streams)
    os.setsid()
    os.close(theirs)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def _tell(pid: int, news: socket.socket, streams: list[int]) -> NoReturn:
    """Tell the process's id and then its exit code; until that is read nobody else can have its id."""
    for stream in streams:  # whoever reads what it writes must see its end
        os.close(stream)
    news.send(str(pid).encode())
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended
    code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    news.send(str(code).encode())
    news.recv(1)
    os._exit(0)


def _be(words: list[str]) -> None:
    """Go on as `python WORDS`."""
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main()
