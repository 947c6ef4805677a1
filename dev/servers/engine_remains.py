"""Removes everything a private engine has on the machine: containers, processes, mounts, bridge, folders.

Also runs as a plain file with the standard library only, as the watcher of an engine: it waits for
the end of the process that wanted the engine, then cleans up in its place.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
CGROUPS = Path("/sys/fs/cgroup")
_CALL_TIMEOUT = 10  # seconds
_STOP_TIMEOUT = 30  # seconds; the engine gives its containers 15
_KILL_TIMEOUT = 5
_POLL = 0.02
_BRIDGES = re.compile(rb"dockmgr-[0-9a-f]{7}\b")


@dataclass(frozen=True)
class Remains:
    """What one private engine spreads out. `short` holds sockets and state, `work` data and log."""

    short: Path
    work: Path
    bridge: str
    keep: bool  # containers, volumes and images stay in `work` for the next start

    @property
    def socket(self) -> Path:
        return self.short / "docker.sock"

    @property
    def config(self) -> Path:
        return self.short / "daemon.json"

    @property
    def state(self) -> Path:
        return self.short / "exec"

    @property
    def data(self) -> Path:
        return self.work / "data"

    def clear(self) -> None:
        """Remove all of it, whatever state the engine is in; doing it twice does no harm."""
        if self.keep:
            _end(self._engine, signal.SIGTERM, _STOP_TIMEOUT)
        else:
            _remove_containers(self.socket)
        _end(self._engine, signal.SIGKILL, _KILL_TIMEOUT)
        containers = _names(self.data / "containers")
        marks = [f"{self.state}/", *containers]
        _end(lambda: _with_descendants(_processes(marks)), signal.SIGKILL, _KILL_TIMEOUT)
        for mount in _mounts_below(self.short, self.work):
            _run("umount", "--lazy", mount)
        remove_cgroups(containers)
        for bridge in (self.bridge, *self._further_bridges()):
            _run("ip", "link", "delete", bridge)
        shutil.rmtree(self.short, ignore_errors=True)
        if not self.keep:
            shutil.rmtree(self.work, ignore_errors=True)

    def _further_bridges(self) -> list[str]:
        """Those of its customers; an engine that ends leaves them."""
        kept = self.data / "network" / "files" / "local-kv.db"
        found = _BRIDGES.findall(kept.read_bytes()) if kept.exists() else []
        return sorted({name.decode() for name in found})

    def end_containerd(self) -> None:
        """After a killed engine: its containerd dies a moment later, and the next one would wait for it."""
        folder = self.state / "containerd"
        _end(lambda: _processes([str(folder / "containerd.toml")]), signal.SIGKILL, _KILL_TIMEOUT)
        (folder / "containerd.pid").unlink(missing_ok=True)

    def _engine(self) -> list[int]:
        return _processes([str(self.config)])


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=_CALL_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(path: Path, method: str, target: str) -> bytes | None:
    """Body of the answer of the engine at that socket, or None when it does not answer or refuses."""
    connection = _SocketConnection(path)
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status < http.client.BAD_REQUEST else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _remove_containers(path: Path) -> None:
    for container in json.loads(call(path, "GET", "/containers/json?all=1") or "[]"):
        call(path, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
    call(path, "POST", "/networks/prune")


def _end(find: Callable[[], list[int]], how: signal.Signals, seconds: float) -> None:
    """Signal the processes that `find` returns, each once: an engine told TERM three times drops everything.

    Returns when they and any it finds later are gone, or the time is up.
    """
    signalled: set[int] = set()
    deadline = time.monotonic() + seconds
    while living := {*filter(_is_alive, signalled), *find()}:
        if time.monotonic() > deadline:
            return
        for pid in living - signalled:
            _signal(pid, how)
        signalled |= living
        time.sleep(_POLL)


def _signal(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it was faster
        os.kill(pid, how)


def _is_alive(pid: int) -> bool:
    """Ended processes that nobody has waited for yet have no arguments any more."""
    return bool(_read(Path(f"/proc/{pid}/cmdline")))


def _processes(marks: list[str]) -> list[int]:
    """Living processes with an argument that is or starts with one of `marks`; ended ones have none."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            arguments = _read(entry / "cmdline").split("\0")
            if any(argument.startswith(mark) for argument in arguments for mark in marks):
                found.append(int(entry.name))
    return found


def _with_descendants(pids: list[int]) -> list[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _read(entry / "stat")):
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    family = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sorted(family)


def _mounts_below(*folders: Path) -> list[str]:
    """Mount points below the folders, the innermost first."""
    escaped = [line.split()[4] for line in _read(Path("/proc/self/mountinfo")).splitlines()]
    points = [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), point) for point in escaped]
    below = [point for point in points if any(point.startswith(f"{folder}/") for folder in folders)]
    return sorted(below, key=len, reverse=True)


def remove_cgroups(containers: list[str]) -> None:
    """A container whose engine was killed leaves empty control groups (version 1 has several trees)."""
    trees = [CGROUPS, *CGROUPS.iterdir()] if CGROUPS.is_dir() else []
    left = [tree / "docker" / container for tree in trees for container in containers]
    deadline = time.monotonic() + _KILL_TIMEOUT
    while (left := [folder for folder in left if not _removed(folder)]) and time.monotonic() < deadline:
        time.sleep(_POLL)


def _removed(folder: Path) -> bool:
    """False while its last process has not been waited for."""
    try:
        folder.rmdir()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return True


def _names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _read(path: Path) -> str:
    """Text of a file of /proc, empty when its process is gone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _run(*command: str) -> None:
    subprocess.run(command, env={"PATH": PATH}, capture_output=True, check=False)  # noqa: S603 our own


def main(owner: int, short: str, work: str, bridge: str, keep: str) -> None:
    poll = select.poll()
    poll.register(owner, select.POLLIN)
    poll.poll()
    Remains(Path(short), Path(work), bridge, keep == "keep").clear()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
