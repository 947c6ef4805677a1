"""A newer Debian with its engines in a folder, made once from the mirror this machine's apt uses."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.servers.failures import ServerFailed
from dev.servers.packages import require

PACKAGES = (
    "aardvark-dns", "ca-certificates", "catatonit", "docker-cli", "docker.io", "iproute2", "iptables",
    "netavark", "nftables", "podman", "runc",
)  # fmt: skip
MIRROR = "http://deb.debian.org/debian"
_LAST_LINES = 5


def newer_system(cache: Path, suite: str, *, anew: bool = False) -> Path:
    """The folder of a system of this suite: made where there is none yet, which takes minutes.

    `ServerFailed` when it can't be made; nothing half made stays behind.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(cache):
        done, making = cache / suite, cache / f"{suite}.new"
        if anew:
            shutil.rmtree(done, ignore_errors=True)
        if not done.exists():
            print(f"making a Debian {suite} with its engines in {done}, once", flush=True)
            shutil.rmtree(making, ignore_errors=True)
            try:
                _make(making, suite)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
            making.rename(done)
        return done


def _make(folder: Path, suite: str) -> None:
    program = require("debootstrap", "debootstrap", "The program debootstrap")
    asked = ["--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(folder), mirror()]
    done = subprocess.run([program, *asked], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = (done.stdout + done.stderr).splitlines()[-_LAST_LINES:]
        raise ServerFailed("\n".join([f"No Debian {suite} could be made:", *last]))
    for archive in (folder / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()


def mirror() -> str:
    """Where this machine's apt has Debian from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian", "Created-By: Packages"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    return next((url.rstrip("/") for url in told if url.startswith("http")), MIRROR)


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
