"""A network of its own inside this machine, where an engine may do to the packet filter what it likes."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

METADATA = "169.254.169.254"
_MACHINE = (
    "ip link set lo up",
    "ip link add world type veth peer name beyond",
    "ip link set beyond netns {cloud}",
    "ip addr add 198.51.100.1/24 dev world",
    "ip link set world up",
    "ip route add default via 198.51.100.2",
    "sysctl -q -w net.ipv4.ip_forward=1",
)
_CLOUD = (
    "ip link set lo up",
    f"ip addr add {METADATA}/32 dev lo",
    "ip addr add 198.51.100.2/24 dev beyond",
    "ip link set beyond up",
    "ip route add default via 198.51.100.1",
)
# A server of HTTP would first ask for the name of its address, for ten seconds where there is nobody to ask.
_ANSWERS = f"""
import socket
server = socket.create_server(("{METADATA}", 80))
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""


@dataclass(frozen=True)
class Namespace:
    """`within` are the words before a command that is to see that network alone."""

    name: str

    @property
    def within(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def must(self, line: str) -> None:
        words = [*self.within, *line.split()]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, (line, done.stderr)


@contextmanager
def a_machine_in_a_cloud() -> Iterator[Namespace]:
    """It forwards, and behind it somebody answers at the address where clouds tell a machine its secrets."""
    name = f"dkt-{uuid.uuid4().hex[:8]}"
    machine, cloud = Namespace(name), Namespace(f"{name}-cloud")
    with ExitStack() as stack:
        for each in (machine, cloud):
            subprocess.run(["ip", "netns", "add", each.name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", each.name], check=False)
        for line in _MACHINE:
            machine.must(line.format(cloud=cloud.name))
        for line in _CLOUD:
            cloud.must(line)
        serve = [*cloud.within, sys.executable, "-c", _ANSWERS]
        metadata = stack.enter_context(subprocess.Popen(serve, stdout=subprocess.PIPE, text=True))
        stack.callback(metadata.kill)
        assert metadata.stdout is not None and metadata.stdout.readline() == "listening\n"
        yield machine
