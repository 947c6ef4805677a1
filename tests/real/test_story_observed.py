"""A monitor sees a real installation through its web process, whatever becomes of the parts behind it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dev.servers import redis_server
from dev.servers.folders import short_folder
from dockmgr.web_worker import ARRIVAL_SECONDS
from tests.real.fleet import Fleet, a_fleet, end
from tests.real.live import wait_until

TOKEN = "read-the-metrics"
SENDING = (
    b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)
BEGUN = (
    b"GET /healthz HTTP/1.1\r\nHo",
    SENDING + b"Content-Length: 9\r\n\r\nu",
    SENDING + b"Content-Length: 0000000009\r\n\r\nu",
    SENDING + b"Transfer-Encoding: chunked\r\n\r\n1\r\nu\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /static/unfold/css/styles.css HTTP/1.1\r\nHost: localhost\r\n\r\n",
)
BOUND = 15  # seconds for any answer of /readyz, however busy the machine


class Web(http.client.HTTPConnection):
    """One question to the web process, at the socket it listens on."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Monitor:
    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, page: str, **headers: str) -> tuple[int, str]:
        with closing(Web(self._path)) as web:
            web.request("GET", page, headers=headers)
            answer = web.getresponse()
            return answer.status, answer.read().decode()

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status of /readyz and its parts; it must answer in bounded time."""
        began = time.monotonic()
        status, text = self.get("/readyz")
        assert time.monotonic() - began < BOUND
        return status, json.loads(text)["parts"]

    def is_ready(self) -> bool:
        return self.ready()[0] == 200

    @contextmanager
    def drips(self, number: int) -> Iterator[None]:
        """Meanwhile so many clients don't end what they began to send, or don't take their answer and go."""
        with ExitStack() as stack:
            for begun in islice(cycle(BEGUN), number):
                client = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
                client.connect(str(self._path))
                client.sendall(begun)
            yield

    def metric(self, name: str, **labels: str) -> float | None:
        status, text = self.get("/metrics", Authorization=f"Bearer {TOKEN}")
        assert status == 200
        samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
        return next((s.value for s in samples if s.name == name and s.labels == labels), None)


@pytest.fixture
def fleet(home: Path, docker_url: str, tmp_path: Path, demo_image: str) -> Iterator[Fleet]:
    token = {"DOCKMGR_METRICS_TOKEN": TOKEN}
    with (
        redis_server(tmp_path / "broker") as broker,
        a_fleet(home, docker_url, broker, demo_image, environ=token, start_grace=3) as fleet,
    ):
        yield fleet


@pytest.fixture
def monitor(fleet: Fleet) -> Iterator[Monitor]:
    with short_folder() as folder:
        path = folder / "web.sock"
        words = ("--bind", f"unix:{path}", "--threads", "4", "--no-control-socket", "dockmgr.wsgi")
        process = fleet.start("-m", "gunicorn", *words, log=fleet.home / "web.log")
        try:
            wait_until(path.is_socket)
            yield Monitor(path)
        finally:
            end(process)


@contextmanager
def frozen_broker(fleet: Fleet) -> Iterator[None]:
    """The broker's server takes connections and answers nothing."""
    with closing(fleet.redis()) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.thorough
def test_a_monitor_sees_workers_come_an_instance_heal_and_the_broker_hang(
    fleet: Fleet, monitor: Monitor
) -> None:
    assert monitor.get("/healthz")[0] == 200
    status, parts = monitor.ready()
    assert (status, parts["workers"]["state"]) == (503, "failing")
    assert {parts[name]["state"] for name in ("database", "broker", "sweep")} == {"ok"}
    assert monitor.get("/metrics")[0] == 401
    with monitor.drips(48):
        began = time.monotonic()
        assert monitor.get("/healthz")[0] == 200
        assert time.monotonic() - began < ARRIVAL_SECONDS / 2

    fleet.provision("one")
    with fleet.worker(), fleet.beat():
        wait_until(monitor.is_ready)
        fleet.container("one").kill()
        restarts = {"trigger": "automatic", "outcome": "succeeded"}
        wait_until(lambda: monitor.metric("dockmgr_restarts_total", **restarts) == 1)
        wait_until(
            lambda: monitor.metric("dockmgr_instances", status="healthy", plan="pro", host="local") == 1, 30
        )
        for outcome in ("fail", "ok"):  # a restart's own looks are not counted: the next sweep's is
            wait_until(lambda: (monitor.metric("dockmgr_checks_total", outcome=outcome) or 0) >= 1)  # noqa: B023
        assert monitor.metric("dockmgr_operations_total", kind="provision", outcome="succeeded") == 1
        assert (monitor.metric("dockmgr_sweep_last_duration_seconds") or 0) > 0
        assert monitor.metric("dockmgr_queue_messages", queue="health") is not None

    with frozen_broker(fleet):
        status, parts = monitor.ready()
        assert (status, parts["broker"]["state"], parts["database"]["state"]) == (503, "failing", "ok")
        wait_until(lambda: monitor.metric("dockmgr_reachable", part="broker") == 0)
        assert monitor.metric("dockmgr_queue_messages", queue="health") is None
    assert monitor.ready()[1]["broker"]["state"] == "ok"
