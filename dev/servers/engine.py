"""A Docker Engine: the one the environment names, one that was found, or a private one beside any other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from dev.servers import engine_remains
from dev.servers.bridge import create_bridge, pools
from dev.servers.engine_remains import Remains
from dev.servers.failures import ServerMissing
from dev.servers.folders import short_folder, work_folder
from dev.servers.packages import require
from dev.servers.process import ServerProcess, watch

USUAL_URL = "unix:///var/run/docker.sock"
ANSWER_TIMEOUT = 5  # seconds
_START_TIMEOUT = 180.0  # with many containers to find again, beside other work
_STOP_TIMEOUT = 30  # it gives its containers 15


class Daemon(Protocol):
    """What serves as an engine, and can be ended and started again."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def signal(self, number: int) -> None: ...


class _Daemon:
    """dockerd of a private engine, started with a configuration that leaves the machine's settings alone."""

    def __init__(self, program: Sequence[str], remains: Remains, settings: Mapping[str, object]) -> None:
        self._command = [*program, "--config-file", str(remains.config)]
        self._remains = remains
        self._process: ServerProcess | None = None
        remains.config.write_text(json.dumps({**_settings(remains), **settings}))

    def start(self) -> None:
        self._process = ServerProcess("The Docker Engine", self._command, self._remains.work / "dockerd.log")
        self._process.wait_until(self._answers, _START_TIMEOUT)

    def stop(self) -> None:
        if self._process:
            self._process.stop(_STOP_TIMEOUT)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._remains.end_containerd()

    def signal(self, number: int) -> None:
        if self._process:
            self._process.signal(number)

    def _answers(self) -> bool:
        return engine_remains.call(self._remains.socket, "GET", "/_ping") == b"OK"


@dataclass
class EngineServer:
    """An engine in use. Only a private one can be stopped, killed and started again; its data stay."""

    url: str
    private: bool
    _daemon: Daemon | None = None

    def stop(self) -> None:
        """End it in good order: its containers are stopped first, in up to 15 seconds."""
        self._ours().stop()

    def kill(self) -> None:
        """End it with KILL: processes of its containers stay behind until it starts again or is removed."""
        self._ours().kill()

    def start(self) -> None:
        """Start it again with what it had; returns when it answers."""
        self._ours().start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers none of them; its containers run on."""
        self._ours().signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._ours().signal(signal.SIGCONT)

    def _ours(self) -> Daemon:
        if self._daemon is None:
            raise PermissionError(f"The Docker Engine at {self.url} is not ours to stop or start.")
        return self._daemon


@contextmanager
def docker_engine(
    folder: Path,
    environ: Mapping[str, str],
    *,
    insecure_registries: Sequence[str] = (),
    use_found: bool = False,
    persist: bool = False,
    settings: Mapping[str, object] | None = None,
    within: Sequence[str] = (),
) -> Iterator[EngineServer]:
    """The engine in `DOCKER_HOST`, or with `use_found` the one at the usual socket, or a private one.

    `settings` are a private engine's own, as its configuration file names them; `within` are words before
    its command, such as nsenter's.

    Only the private one is ended and removed at exit, with all its containers; with `persist` they
    are stopped and stay in `folder`/engine for the next start. `ServerMissing` when the one that is
    named does not answer, or when there is none and this process may not start one.
    """
    if url := environ.get("DOCKER_HOST"):
        if not _answers(url):
            raise ServerMissing(f"The Docker Engine that DOCKER_HOST names ({url}) does not answer.")
        yield EngineServer(url, private=False)
    elif use_found and _answers(USUAL_URL):
        yield EngineServer(USUAL_URL, private=False)
    else:
        wanted = {"insecure-registries": list(insecure_registries), **(settings or {})}
        with _private_engine(folder, wanted, persist, within) as server:
            yield server


@contextmanager
def _private_engine(
    folder: Path, settings: Mapping[str, object], persist: bool, within: Sequence[str]
) -> Iterator[EngineServer]:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ServerMissing(
            "A Docker Engine is needed: install and start Docker, or name an engine in DOCKER_HOST "
            "(a private one can be started by root on Linux only)."
        )
    program = require("dockerd", "docker.io", "A Docker Engine")
    with work_folder(folder, "engine", persist=persist) as work, short_folder() as short:
        remains = Remains(short, work, create_bridge(), keep=persist)
        watcher = _watch(remains)
        daemon = _Daemon([*within, program], remains, settings)
        try:
            daemon.start()
            yield EngineServer(f"unix://{remains.socket}", private=True, _daemon=daemon)
        finally:
            remains.clear()
            daemon.stop()
            if watcher:
                watcher.kill()
                watcher.wait()


def _watch(remains: Remains) -> subprocess.Popen[bytes] | None:
    keep = "keep" if remains.keep else "remove"
    arguments = [str(remains.short), str(remains.work), remains.bridge, keep]
    return watch(Path(engine_remains.__file__), arguments)


def _settings(remains: Remains) -> dict[str, object]:
    """Its own bridge, and neither packet filter nor forwarding touched: other engines live beside it."""
    return {
        "hosts": [f"unix://{remains.socket}"],
        "data-root": str(remains.data),
        "exec-root": str(remains.state),
        "pidfile": str(remains.short / "docker.pid"),
        "bridge": remains.bridge,
        "default-address-pools": pools(remains.bridge),
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
    }


def _answers(url: str) -> bool:
    """True for an engine that answers; over SSH, where asking takes a client, it is taken on trust."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return engine_remains.call(Path(parts.path), "GET", "/_ping") == b"OK"
    if parts.scheme == "ssh":
        return True
    try:
        socket.create_connection((parts.hostname, parts.port or 2375), ANSWER_TIMEOUT).close()
    except OSError:
        return False
    return True
