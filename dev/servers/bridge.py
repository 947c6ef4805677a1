"""A network bridge for a private engine, with a subnet nothing else here uses."""

from __future__ import annotations

import secrets
import subprocess

from dev.servers.failures import ServerFailed
from dev.servers.packages import require

PREFIX = "172.29"
FURTHER = "172.28"
NAME = "dockmgr"
_LAST = 254


def create_bridge() -> str:
    """Name of a new bridge that holds 172.29.N.1/24.

    The name carries N, and the kernel refuses a second one of that name: so N is the caller's alone.
    """
    program = require("ip", "iproute2", "The program ip")
    first = secrets.randbelow(_LAST)
    for number in ((first + step) % _LAST + 1 for step in range(_LAST)):
        subnet, name = f"{PREFIX}.{number}", f"{NAME}{number}"
        if not _is_used(program, subnet) and _add(program, name):
            _configure(program, name, f"{subnet}.1/24", f"02:42:ac:1d:{number:02x}:01")
            return name
    raise ServerFailed(f"All subnets of {PREFIX}.0.0/16 are in use; a private Docker Engine needs one.")


def pools(bridge: str) -> list[dict[str, str | int]]:
    """Where an engine with this bridge takes the addresses of further networks from.

    First what is its alone, because two engines that make networks at once do not see each other's.
    """
    own: dict[str, str | int] = {"base": f"{FURTHER}.{bridge.removeprefix(NAME)}.0/24", "size": 25}
    return [own, {"base": "192.168.0.0/16", "size": 24}]


def _is_used(program: str, subnet: str) -> bool:
    words = (_ip(program, "-4", "addr").stdout + _ip(program, "-4", "route").stdout).split()
    return any(word.startswith(f"{subnet}.") for word in words)


def _add(program: str, name: str) -> bool:
    """False when there is a bridge of that name."""
    done = _ip(program, "link", "add", name, "type", "bridge")
    if done.returncode and "exists" not in done.stderr:
        raise ServerFailed(f"No bridge could be made for a private Docker Engine: {done.stderr.strip()}.")
    return done.returncode == 0


def _configure(program: str, name: str, address: str, hardware: str) -> None:
    """Without a hardware address of its own a bridge takes another one whenever a container leaves."""
    for arguments in (
        ["link", "set", name, "address", hardware],
        ["addr", "add", address, "dev", name],
        ["link", "set", name, "up"],
    ):
        done = _ip(program, *arguments)
        if done.returncode:
            _ip(program, "link", "delete", name)
            raise ServerFailed(f"The bridge {name} could not be set up: {done.stderr.strip()}.")


def _ip(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 our own command line
        [program, *arguments], capture_output=True, text=True, check=False
    )
