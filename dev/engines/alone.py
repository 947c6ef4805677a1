"""The tests with a network, processes and mounts of their own: at their end nothing of them is left."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.demo_image import static_busybox
from dev.engines.kinds import FIRST_PORT, LAST_PORT, Kind
from dev.engines.name_server import ADDRESS
from dev.servers.engine_remains import remove_cgroups
from dev.servers.other_system import SHARED
from dev.servers.packages import require
from dev.servers.process import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
PROMISES = "tests/real/test_docker_engine.py"
STORIES = (
    "tests/real/test_story_commands.py",
    "tests/real/test_story_engine.py",
    "tests/real/test_story_updates.py",
    "tests/real/test_making_anew.py",
    "tests/real/test_adopting.py",
    "tests/real/test_validating.py",
)
PROGRAMS = (
    ("ip", "iproute2"), ("dockerd", "docker.io"), ("docker-registry", "docker-registry"),
    ("redis-server", "redis-server"),
)  # fmt: skip
# Nobody in a network of its own has a name server, without which no name is known not to exist.
# The shell stays, because the first process of its kind has to wait for those that lost their parent.
_SCRIPT = f"""
cd {ROOT}
ip link set lo up
sysctl -qw net.ipv4.ip_local_port_range="{FIRST_PORT} {LAST_PORT}"
mount --bind "$1" /etc/resolv.conf
shift
{sys.executable} -m dev.engines.name_server &
"$@"
exit $?
"""
_APART = ("--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_TIDY_SECONDS = 60


def have_programs() -> None:
    """Install what is missing of the tests' programs: in a network of its own nobody can.

    Raises ServerMissing.
    """
    for program, package in PROGRAMS:
        require(program, package, f"The program {program}")
    require("busybox", "busybox-static", "A static busybox", static_busybox)


class Trial:
    """A run of the tests on one engine, in processes of its own; `log` is what it writes."""

    def __init__(self, kind: Kind, system: Path, tests: Sequence[str], words: Sequence[str]) -> None:
        self.log = Path(tempfile.gettempdir(), f"dockmgr-test-engines-{kind.name}.log")
        self.log.unlink(missing_ok=True)
        self._work = Path(tempfile.mkdtemp(prefix=f"dockmgr-{kind.name}-", dir=SHARED))
        self._report = self._work / "report.xml"
        environ = {
            "DOCKMGR_TRIED_ENGINE": kind.name,
            "DOCKMGR_TRIED_SYSTEM": str(system),
            "PYTHONUNBUFFERED": "1",
        }
        named = [f"{name}={value}" for name, value in environ.items()]
        options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={self._work / 'tmp'}"]
        asked = ["-m", "pytest", *options, f"--junitxml={self._report}", *tests, *words]
        resolver = self._work / "resolv.conf"
        resolver.write_text(f"nameserver {ADDRESS}\n")
        shell = ["sh", "-c", _SCRIPT, "sh", str(resolver)]
        command = ["unshare", *_APART, "env", *named, *shell, sys.executable, *asked]
        # All its processes die with the first one, which the watcher ends when this one was killed.
        self._run = ServerProcess(
            f"The trial of {kind.name}", command, self.log, folders=[self._work], stop_signal=signal.SIGKILL
        )

    def report(self) -> str:
        """Wait for its end: the report in JUnit's form, empty where it came to none."""
        self._run.ended()
        return self._report.read_text() if self._report.exists() else ""

    def close(self) -> None:
        """End it, in good order where it lets itself be ended so, and remove what it has."""
        if not self._run.ended(0):
            os.killpg(self._run.pid, signal.SIGINT)
            self._run.ended(_TIDY_SECONDS)
        self._run.stop()
        remove_cgroups([folder.name for folder in self._work.glob("tmp/**/data/containers/*")])
        shutil.rmtree(self._work, ignore_errors=True)
