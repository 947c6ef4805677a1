"""A command with a network, processes and mounts of its own: at its end nothing of them is left."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dev.engines.kinds import FIRST_PORT, LAST_PORT, Kind

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
# The shell stays, because the first process of its kind has to wait for those that lost their parent.
_SCRIPT = f"""
ip link set lo up
sysctl -qw net.ipv4.ip_local_port_range="{FIRST_PORT} {LAST_PORT}"
"$@"
exit $?
"""
_APART = ("--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def command(work: Path, only: Sequence[str]) -> list[str]:
    """Run the promises and the stories; what came of it is in `work`/report.xml. `only` are words to pytest."""
    tests = [PROMISES, *STORIES]
    options = ["-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={work}/tmp", f"--junitxml={report(work)}"]
    return ["unshare", *_APART, "sh", "-c", _SCRIPT, "sh", sys.executable, "-m", "pytest", *options, *tests, *only]


def environ(kind: Kind, system: Path) -> dict[str, str]:
    """What tells the tests which engine to start."""
    return {"DOCKMGR_TRIED_ENGINE": kind.name, "DOCKMGR_TRIED_SYSTEM": str(system)}


def report(work: Path) -> Path:
    return work / "report.xml"
