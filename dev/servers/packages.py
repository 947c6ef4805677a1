"""Programs that servers need: found on this machine, or installed from Debian's or Ubuntu's package."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.servers.failures import ServerMissing

POLICY = Path("/usr/sbin/policy-rc.d")
_ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_OUTPUT_LINES = 5


def find(program: str) -> str | None:
    """Path of a program on the PATH, in the administrator's folders or among PostgreSQL's; or None."""
    versions = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join((*_ADMIN_FOLDERS, *versions)))


def require(program: str, package: str, what: str, look: Callable[[str], str | None] = find) -> str:
    """Path of `program`, whose Debian package is installed when it is missing and that is possible.

    `what` is how a sentence names the thing that is needed. Nothing the package would start is started.
    """
    if path := look(program):
        return path
    if not _can_install():
        raise ServerMissing(
            f"{what} is needed and was not found: install it (Debian's package is {package})."
        )
    with _one_at_a_time():
        if not look(program):
            _install(package, what)
    if path := look(program):
        return path
    raise ServerMissing(f"{what} is needed, and package {package} did not bring the program {program}.")


def _can_install() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and find("apt-get") is not None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Parallel processes of ours would get in each other's way; the lock goes with the file's closing."""
    with (Path(tempfile.gettempdir()) / "dockmgr-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(package: str, what: str) -> None:
    print(
        f"dockmgr: {what} was not found; installing Debian's package {package}", file=sys.stderr, flush=True
    )
    _refresh_lists()
    with _nothing_starts():
        _apt_get("install", "--yes", "--no-install-recommends", package)


@functools.cache
def _refresh_lists() -> None:
    _apt_get("update")


def _apt_get(*arguments: str) -> None:
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    done = subprocess.run(  # noqa: S603 our own command line
        [*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stdout + done.stderr).splitlines()[-_OUTPUT_LINES:]
        raise ServerMissing("\n".join([f"apt-get {' '.join(arguments)} failed.", *last]))


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """Keeps packages from starting their services, unless the machine has a rule of its own for that."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
