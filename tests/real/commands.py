"""`manage.py` commands as forks of a process that has imported everything: starting took longer than working.

Each command is a process of its own with its own environment, streams, arguments and exit code.
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
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "manage.py"
PATIENCE = 300  # seconds for one command
LARGEST = 100_000  # bytes of an order
# What commands import that can be had before there are settings.
LIBRARIES = (
    "celery.app.base", "cryptography.fernet", "django.contrib.postgres.fields", "django.core.management",
    "django.contrib.postgres.forms", "django.test.client", "django.views.generic", "docker",
    "kombu.transport.redis", "psycopg", "pydantic.main", "rich.console", "rich.progress", "yaml",
)  # fmt: skip


class Commands:
    """Runs commands in one environment, also several at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            _send(_forker(), {"environ": dict(environ)}, [theirs.fileno()])

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code; it is negative when a signal ended it."""
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write((stdin or "").encode())
            given.seek(0)
            code = self._ended(words, [given.fileno(), out.fileno(), err.fileno()])
            return subprocess.CompletedProcess([sys.executable, PROGRAM, *words], code, _all(out), _all(err))

    def close(self) -> None:
        """No more commands: the process that forks for them ends."""
        self._orders.close()

    def _ended(self, words: Sequence[str], streams: Sequence[int]) -> int:
        reader, writer = os.pipe()
        with open(reader, "rb") as result:
            try:
                _send(self._orders, {"words": words}, [*streams, writer])
            finally:
                os.close(writer)
            code = result.read()
        assert code, "the process that forks has ended"
        return int(code)


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
    """Fork for each environment, and again for each command in it, until nobody can send orders any more."""
    for name in LIBRARIES:
        importlib.import_module(name)
    order, files = _next_order(socket.socket(fileno=int(sys.argv[1])))
    if "environ" in order:
        _prepare(order["environ"])
        order, files = _next_order(socket.socket(fileno=files[0]))
    if "words" in order:
        _report(files)
        sys.argv = [PROGRAM, *order["words"]]
        runpy.run_path(PROGRAM, run_name="__main__")


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


def _report(files: list[int]) -> None:
    """Returns in a new process that has the streams; this one waits for its end, tells it, and ends."""
    *streams, result = files
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(result, str(code).encode())
        os._exit(0)
    os.close(result)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.alarm(PATIENCE)


if __name__ == "__main__":
    main()
