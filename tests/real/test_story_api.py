"""Another service runs an instance over HTTP alone: web processes, a worker, Redis and an engine."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.real.fleet import Fleet, a_fleet, end
from tests.real.live import wait_until

ENDED = {"succeeded", "failed", "rolled_back"}


class OverSocket(http.client.HTTPConnection):
    """HTTP over a unix socket, so that no port is needed."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Service:
    """Another service, with a token."""

    def __init__(self, path: Path, token: str) -> None:
        self._path, self._token = path, token

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        connection = OverSocket(self._path)
        given = {"Authorization": f"Bearer {self._token}", **headers}
        connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), given)
        return connection.getresponse()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        with self.open(method, path, body, **headers) as answer:
            return answer.status, json.loads(answer.read())

    def carried_out(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The operation once it has ended."""
        shown = dict(operation)

        def ended() -> bool:
            shown.update(self.ask("GET", f"/operations/{operation['id']}")[1])
            return shown["status"] in ENDED

        wait_until(ended)
        return shown


@contextmanager
def web(fleet: Fleet, **environ: str) -> Iterator[Path]:
    """Two web processes behind one unix socket; they know no engine."""
    path = fleet.home / "web.sock"
    bound = ("--bind", f"unix:{path}", "--no-control-socket")
    words = ("dockmgr.wsgi", *bound, "--workers", "2", "--threads", "4")
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock", **environ}
    process = fleet.start(
        "-m", "gunicorn", *words, "--threads", "4", environ=nowhere, log=fleet.home / "web.log"
    )
    try:
        wait_until(lambda: os.path.exists(path))
        yield path
    finally:
        end(process)


@pytest.fixture
def fleet(tmp_path: Path, docker_url: str, broker_url: str, demo_image: str) -> Iterator[Fleet]:
    with a_fleet(tmp_path, docker_url, broker_url, demo_image, start_grace=3) as fleet:
        yield fleet


def token(fleet: Fleet, scope: str) -> str:
    return str(fleet.json("create_token", scope, "--scope", scope)["token"])


def lines(stream: http.client.HTTPResponse) -> Iterator[str]:
    """The lines of a followed log, as they come."""
    while block := stream.readline():
        if block.startswith(b"data: "):
            yield json.loads(block[6:])


def test_a_service_orders_watches_and_removes_an_instance(fleet: Fleet) -> None:
    customer, secret = fleet.customer("c1"), "s3ntinel-over-http"
    order = {
        "customer_id": customer,
        "subdomain": f"{customer}.example.com",
        "plan": "pro",
        "env": {"API_KEY": secret},
    }
    with web(fleet) as socket_path, fleet.worker():
        service = Service(socket_path, token(fleet, "admin"))
        following = service.open("GET", "/events")
        status, operation = service.ask("POST", "/instances", order, **{"Idempotency-Key": "signup-1"})
        again = service.ask("POST", "/instances", order, **{"Idempotency-Key": "signup-1"})
        assert (status, again[0], again[1]["id"]) == (202, 202, operation["id"])
        assert service.carried_out(operation)["error"] is None
        assert service.ask("POST", f"/instances/{customer}/check")[1]["status"] == "healthy"
        assert service.ask("POST", f"/instances/{customer}/validate")[1]["valid"] is True
        follow_the_log(fleet, service, customer, secret)
        status, operation = service.ask("POST", f"/instances/{customer}/restart", {"reason": "to see"})
        assert service.carried_out(operation)["status"] == "succeeded"
        status, operation = service.ask("DELETE", f"/instances/{customer}?purge_data=true")
        assert service.carried_out(operation)["status"] == "succeeded"
        assert changes(following, 9) == [
            f"{kind} {change}"
            for kind in ("provision", "restart", "decommission")
            for change in ("queued", "running", "succeeded")
        ]
    with following:  # the web processes were told to end while it was open
        assert following.read().endswith(b"event: end\ndata: {}\n\n")
    assert (fleet.containers(), fleet.volumes()) == ([], [])
    audited = fleet.sql("SELECT action, outcome FROM instances_auditentry WHERE surface = 'api' ORDER BY id")
    assert [action for action, _ in audited] == [
        "provision", "provision", "check", "validate", "logs", "logs", "restart", "decommission",
    ]  # fmt: skip
    assert secret not in str(audited) + (fleet.home / "web.log").read_text()


def changes(stream: http.client.HTTPResponse, number: int) -> list[str]:
    """What the next events say of operations: `restart queued`, …"""
    told = (json.loads(line[6:]) for line in stream if line.startswith(b"data: "))
    return [f"{each['operation']['kind']} {each['change']}" for each in itertools.islice(told, number)]


def follow_the_log(fleet: Fleet, service: Service, customer: str, secret: str) -> None:
    status, log = service.ask("GET", f"/instances/{customer}/logs?lines=5")
    assert (status, log["truncated"]) == (200, False)
    with service.open("GET", f"/instances/{customer}/logs/stream?lines=1") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        for number in (1, 2):
            fleet.inside("c1", f"echo 'news {number} {secret}' > /proc/1/fd/1")
            assert f"news {number} [redacted]" in lines(stream)


ASKED = b"GET /api/v1/instances"
HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
UNREADABLE = {
    "a length that is none": (ASKED + HOST + b"Content-Length: x\r\n\r\n", 400),
    "bytes that are no address": (ASKED + b"?q=s3ntinel\xff" + HOST + b"\r\n", 400),
    "a long header": (ASKED + HOST + b"X: " + b"s3ntinel" * 5000 + b"\r\n\r\n", 431),
    "a long address": (ASKED + b"?q=" + b"s3ntinel" * 1200 + HOST + b"\r\n", 414),
    "what is expected in vain": (ASKED + HOST + b"Expect: x\r\n\r\n", 417),
    "a body in chunks": (ASKED + HOST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
}


def test_what_the_server_itself_refuses_is_a_problem_document_that_repeats_nothing(fleet: Fleet) -> None:
    with web(fleet) as socket_path:
        for name, (sent, status) in UNREADABLE.items():
            connection = OverSocket(socket_path)
            connection.connect()
            connection.sock.sendall(sent)
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            document = json.loads(answer.read())
            assert (answer.status, document["status"]) == (status, status), name
            assert answer.headers["Content-Type"] == "application/problem+json", name
            assert "s3ntinel" not in str(document), name


@pytest.mark.thorough
def test_all_web_processes_count_the_calls_of_a_token_together(fleet: Fleet) -> None:
    with web(fleet, DOCKMGR_API_RATE="5") as socket_path:
        service = Service(socket_path, token(fleet, "read"))
        wait_until(lambda: time.time() % 60 < 45, 20)  # all calls fall into one window
        answers = [service.ask("GET", "/instances")[0] for _ in range(9)]
    assert answers == [200] * 5 + [429] * 4
