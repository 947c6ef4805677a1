"""Podman's service, which speaks as a Docker Engine does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dev.servers.engine import EngineServer
from dev.servers.engine_remains import CGROUPS, call
from dev.servers.folders import short_folder, work_folder
from dev.servers.process import ServerProcess

_SETTINGS = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
firewall_driver = "{firewall}"
network_config_dir = "{folder}/networks"
"""
_TRUSTED = '[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n'
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}
_CGROUP = "libpod_parent"
_START_TIMEOUT = 60


class _Service:
    """`podman system service`; its containers are nobody's children and live on without it."""

    def __init__(self, command: Sequence[str], short: Path, work: Path) -> None:
        self.socket = short / "docker.sock"
        self._command = [*command, f"unix://{self.socket}"]
        self._log = work / "podman.log"
        self._process: ServerProcess | None = None

    def start(self) -> None:
        self._process = ServerProcess("Podman's service", self._command, self._log)
        self._process.wait_until(self._answers, _START_TIMEOUT)

    def stop(self) -> None:
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        if self._process:
            self._process.kill()

    def signal(self, number: int) -> None:
        if self._process:
            self._process.signal(number)

    def _answers(self) -> bool:
        return call(self.socket, "GET", "/_ping") == b"OK"


@contextmanager
def podman(
    folder: Path, within: Sequence[str], *, trusted_ports: Sequence[int] = (), firewall: str = "nftables"
) -> Iterator[EngineServer]:
    """A service with a store of its own below `folder`; `within` are words before its command.

    Its containers publish ports with the packet filter of the network it runs in. It asks registries at
    the `trusted_ports` of 127.0.0.1 without TLS. At the end it and its containers are gone.
    """
    with work_folder(folder, "podman") as work, short_folder() as short:
        files = {
            "containers.conf": _SETTINGS.format(folder=work, firewall=firewall),
            "registries.conf": "".join(_TRUSTED.format(port=port) for port in trusted_ports),
            "policy.json": json.dumps(_POLICY),
        }
        for name, text in files.items():
            (short / name).write_text(text)
        service = _Service([*within, *_command(short, work)], short, work)
        service.start()
        try:
            yield EngineServer(f"unix://{service.socket}", private=True, _daemon=service)
        finally:
            for container in json.loads(call(service.socket, "GET", "/containers/json?all=1") or "[]"):
                call(service.socket, "DELETE", f"/containers/{container['Id']}?force=1&v=1")
            service.stop()
            _remove_cgroups()


def _remove_cgroups() -> None:
    """It leaves them behind; those that somebody is in stay."""
    folders = [Path(folder) for folder, _, _ in os.walk(CGROUPS, topdown=False)]  # goes on where some vanish
    for folder in folders:
        if _CGROUP in folder.parts:
            with suppress(OSError):
                folder.rmdir()


def _command(short: Path, work: Path) -> list[str]:
    environ = {
        "CONTAINERS_CONF": short / "containers.conf",
        "CONTAINERS_REGISTRIES_CONF": short / "registries.conf",
        "BUILDAH_ISOLATION": "chroot",
        "TMPDIR": work,
    }
    named = [f"{name}={value}" for name, value in environ.items()]
    stores = ["--root", str(work / "store"), "--runroot", str(short / "run"), "--tmpdir", str(short / "tmp")]
    return ["env", *named, "podman", *stores, "--storage-driver", "overlay", "system", "service", "--time=0"]
