"""The other side of a benchmark: many health endpoints and an engine for each 500 of them (BENCH_PER_HOST),
answering at once.

Run as `python -m bench.targets COUNT FILE [MS]`: it listens on a port for each target, of which those beyond
10,000 share them, and on one for each engine, writes them to FILE as JSON, and serves until it is ended. A
target takes MS milliseconds (0) to answer.
After SIGUSR1 every fiftieth target does not answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from functools import partial
from pathlib import Path

from instances.containers.spec import container_name, labels_for

PLAN = "free"
HANGS_OF = 50
MOST_PORTS = 10_000  # a process may not have as many files open as there are ports
PER_HOST = int(os.environ.get("BENCH_PER_HOST", "500"))
BODY = b'{"ok": true, "status": "live", "version": "1.0.0"}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    % len(BODY)
) + BODY


class Healthy(asyncio.Protocol):
    """Answers the first bytes of a request, at once or after some seconds, and closes."""

    takes = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        if self.takes:
            asyncio.get_running_loop().call_later(self.takes, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(ANSWER)
        self._transport.close()


class Hanging(Healthy):
    """Does so too, until it is told to answer no more."""

    answers = True

    def data_received(self, data: bytes) -> None:
        if Hanging.answers:
            super().data_received(data)


class Engine(asyncio.Protocol):
    """As much of a Docker Engine as a sweep asks for: version, itself, one list, and containers that run."""

    def __init__(self, numbers: range) -> None:
        self._id = f"bench-{numbers.start}"
        self._list = json.dumps([_row(number) for number in numbers]).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        path = data.split(b" ", 2)[1]
        version = json.dumps({"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "bench"}).encode()
        itself = json.dumps({"ID": self._id, "ServerVersion": "bench", "NCPU": 2, "MemTotal": 2**34}).encode()
        answers = {b"version": version, b"containers/json": self._list, b"info": itself}
        body = next((answer for part, answer in answers.items() if part in path), b"OK")
        if path.endswith(b"/json") and b"containers/json" not in path:
            body = _described(path.split(b"/")[-2].decode())
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


def customer(number: int) -> str:
    """The customer id of a target."""
    return f"bench-{number}"


def _row(number: int) -> dict[str, object]:
    """A row of a container list, with all that an engine says in one."""
    identifier, name = f"{number:064x}", container_name(customer(number))
    return {
        "Id": identifier,
        "Names": [f"/{name}"],
        "Image": "registry.example.com/app:1.0.0",
        "ImageID": f"sha256:{0:064x}",
        "Command": "/docker-entrypoint.sh /usr/local/bin/app --listen 8080",
        "Created": 1_771_461_234,
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 8080, "PublicPort": 20_000 + number % 10_000, "Type": "tcp"}
        ],
        "Labels": labels_for(customer(number), PLAN),
        "State": "running",
        "Status": "Up 3 weeks",
        "HostConfig": {"NetworkMode": "dockmgr"},
        "NetworkSettings": {"Networks": {"dockmgr": _attachment(number)}},
        "Mounts": [
            {
                "Type": "volume",
                "Name": f"{name}-data",
                "Source": f"/var/lib/docker/volumes/{name}-data/_data",
                "Destination": "/data",
                "Driver": "local",
                "Mode": "z",
                "RW": True,
                "Propagation": "",
            }
        ],
    }


def _attachment(number: int) -> dict[str, object]:
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "NetworkID": f"{0:064x}",
        "EndpointID": f"{number:064x}",
        "Gateway": "172.30.0.1",
        "IPAddress": f"172.30.{number // 250 % 250}.{number % 250 + 2}",
        "IPPrefixLen": 16,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": "02:42:ac:1e:00:02",
        "DriverOpts": None,
    }


def _described(identifier: str) -> bytes:
    """A container that runs."""
    number = int(identifier, 16) if len(identifier) == 64 else int(identifier.rpartition("-")[2])
    container = {
        "Id": f"{number:064x}",
        "Name": f"/{container_name(customer(number))}",
        "Image": "sha256:0",
        "State": {"Status": "running", "StartedAt": "2026-01-01T00:00:00Z"},
        "Config": {"Labels": labels_for(customer(number), PLAN)},
    }
    return json.dumps(container).encode()


async def serve(count: int, file: Path) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, setattr, Hanging, "answers", False)
    servers = [
        await loop.create_server(Healthy if number % HANGS_OF else Hanging, "127.0.0.1", 0, backlog=16)
        for number in range(min(count, MOST_PORTS))
    ]
    engines = [
        await loop.create_server(partial(Engine, range(first, min(first + PER_HOST, count))), "127.0.0.1", 0)
        for first in range(0, count, PER_HOST)
    ]
    ports, engine_ports = (
        [server.sockets[0].getsockname()[1] for server in all_] for all_ in (servers, engines)
    )
    ports = [ports[number % MOST_PORTS] for number in range(count)]
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps({"ports": ports, "engines": engine_ports}))
    draft.rename(file)
    await asyncio.Event().wait()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Healthy.takes = float(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0.0
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
