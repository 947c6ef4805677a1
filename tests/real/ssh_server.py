"""A real SSH server of a test's own, in front of an engine."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.servers.packages import require
from dev.servers.ports import on_free_port
from dev.servers.process import ServerProcess

PRIVILEGES = Path("/run/sshd")  # what sshd gives up its privileges in
CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv DOCKER_HOST={engine}
"""


# What the owners of further keys come to: somebody whom the engine's socket is closed to, and no program.
FORCED = {
    "powerless": "setpriv --reuid 65534 --regid 65534 --clear-groups docker system dial-stdio",
    "empty_handed": "PATH=/nowhere docker system dial-stdio",
}


class SshServer:
    """sshd that lets in the keys called `good` and `locked`, which has a passphrase, and not `stranger`.

    Those of `FORCED` come no further than there.
    """

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder = folder
        self._engine = engine
        for name in ("host", "good", "stranger", "changed", *FORCED):
            make_key(folder / name)
        make_key(folder / "locked", "passphrase")
        allowed = [(folder / f"{name}.pub").read_text() for name in ("good", "locked")]
        allowed += [
            f'command="{forced}" {(folder / f"{name}.pub").read_text()}' for name, forced in FORCED.items()
        ]
        (folder / "authorized").write_text("".join(allowed))
        (folder / "nobody").touch(0o600)
        shutil.copy(folder / "good", folder / "shared")
        (folder / "shared").chmod(0o644)

    @contextmanager
    def running(self) -> Iterator[SshServer]:
        self._program = require("sshd", "openssh-server", "An SSH server")
        PRIVILEGES.mkdir(exist_ok=True)
        self._server, self.port = on_free_port(self._start)
        for known, key in (("known", "host"), ("changed_hosts", "changed")):
            words = (self.folder / f"{key}.pub").read_text().split()[:2]
            (self.folder / known).write_text(f"[127.0.0.1]:{self.port} {' '.join(words)}\n")
        try:
            yield self
        finally:
            self._server.stop()

    @property
    def pid(self) -> int:
        return self._server.pid

    def cut(self) -> None:
        """End the lines that are open."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    def _start(self, port: int) -> tuple[ServerProcess, int]:
        config = self.folder / "sshd_config"
        config.write_text(CONFIG.format(port=port, folder=self.folder, engine=self._engine))
        command = [self._program, "-D", "-e", "-f", str(config)]
        server = ServerProcess("The SSH server", command, self.folder / "sshd.log")
        server.wait_until(lambda: "Server listening" in (self.folder / "sshd.log").read_text())
        return server, port

    @property
    def url(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def file(self, name: str) -> str:
        return str(self.folder / name)

    @contextmanager
    def agent(self) -> Iterator[str]:
        """The socket of an agent that has opened the key called `locked`."""
        where = self.folder / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(where)], stdout=subprocess.DEVNULL)
        try:
            ask = self.folder / "ask"
            ask.write_text("#!/bin/sh\necho passphrase\n")
            ask.chmod(0o700)
            environ = {"SSH_AUTH_SOCK": str(where), "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
            while not where.exists():
                assert agent.poll() is None
            subprocess.run(
                ["ssh-add", "-q", self.file("locked")], env={**os.environ, **environ},
                check=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            yield str(where)
        finally:
            agent.terminate()
            agent.wait()


def make_key(path: Path, passphrase: str = "") -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", str(path)], check=True
    )
