"""500 instances on a host that takes connections and never answers, beside 300 that are well."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until

DEAD, WELL = 500, 300
SILENT, LIVELY = "127.0.0.98", "127.0.0.97"
ENGINE_PORT, FIRST_PORT = 2375, 21000
# Outcome 0 is `ok`.
LOOKED_AT = """SELECT count(DISTINCT c.instance_id) FROM instances_check c
 JOIN instances_instance i ON i.id = c.instance_id WHERE i.customer_id LIKE 'well%' AND c.outcome = 0"""
STARTED = "SELECT count(*) FROM instances_sweep WHERE state = 'running'"
FINISHED = "SELECT count(*) FROM instances_sweep WHERE state = 'finished'"
ALARMS = "SELECT key, cause FROM instances_incident WHERE kind IN ('self', 'fleet', 'instance')"
ON_HOSTS = "SELECT key, cause FROM instances_incident WHERE kind = 'host'"
ROWS = f"""
from django.utils import timezone
from instances.models import Health, Host, Instance, Plan
Host.objects.all().delete()
plan = Plan.objects.get(name="pro")
for name, where, number in (("dead", "{SILENT}", {DEAD}), ("well", "{LIVELY}", {WELL})):
    host = Host.objects.create(
        name=name, docker_url=f"tcp://{{where}}:{ENGINE_PORT}", address=where, insecure=True,
        first_port={FIRST_PORT}, last_port={FIRST_PORT + DEAD},
    )
    for place in range(number):
        instance = Instance.objects.create(
            customer_id=f"{{name}}{{place}}", subdomain=f"{{name}}{{place}}.x.com", plan=plan, host=host,
            port={FIRST_PORT} + place, container_id=f"{{name}}{{place}}", provisioned_at=timezone.now(),
        )
        Health.objects.create(instance=instance, status="healthy", last_healthy_at=timezone.now())
"""


@contextmanager
def silent_host() -> Iterator[None]:
    """Whoever connects is let in by the kernel, and hears nothing."""
    with ExitStack() as stack:
        for port in (ENGINE_PORT, *range(FIRST_PORT, FIRST_PORT + DEAD)):
            server = socket.create_server((SILENT, port), backlog=1024)
            stack.enter_context(server)
        yield


class LivelyHost:
    """An engine that lists its containers, and their health answers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    async def _serve(self) -> None:
        for port in (ENGINE_PORT, *range(FIRST_PORT, FIRST_PORT + WELL)):
            await asyncio.start_server(self._answer, LIVELY, port, backlog=128)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(told(head.split()[1].decode())).encode()
        kind = b"Content-Type: application/json\r\nConnection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        self._loop.run_until_complete(self._serve())
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()


def told(path: str) -> object:
    if path.endswith("/version"):
        return {"ApiVersion": "1.43", "MinAPIVersion": "1.24", "Version": "24.0"}
    if "/containers/json" in path:
        return [
            {
                "Id": f"well{n}",
                "Names": [f"/dockmgr-well{n}"],
                "State": "running",
                "Labels": {},
                "ImageID": "i",
            }
            for n in range(WELL)
        ]
    return {"ok": True, "version": "1"}


@pytest.fixture
def fleet(tmp_path: Path, docker_url: str, broker_url: str) -> Iterator[Fleet]:
    environ = {
        "DOCKMGR_SWEEP_INTERVAL": "60", "DOCKMGR_PROBE_TIMEOUT": "5", "DOCKMGR_RECHECK_INTERVAL": "30",
        "DOCKMGR_LEASE": "30", "DOCKMGR_HISTORY_EVERY": "0",
    }  # fmt: skip
    with (
        a_fleet(tmp_path, docker_url, broker_url, "app:1", environ=environ) as fleet,
        silent_host(),
        LivelyHost().running(),
    ):
        done = fleet.run("shell", "-c", ROWS)
        assert done.returncode == 0, done.stderr
        yield fleet


@pytest.mark.thorough
def test_the_healthy_are_looked_at_and_nobody_is_alarmed_for_nothing(fleet: Fleet, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with fleet.worker("-P", "threads", "-c", "50", log=log), fleet.beat():
        wait_until(lambda: fleet.sql(STARTED) == [(1,)], 120)
        began = time.monotonic()
        wait_until(lambda: fleet.sql(LOOKED_AT) == [(WELL,)], 180)
        seconds = time.monotonic() - began
        print(f"all {WELL} looked at after {seconds:.1f} s")
        wait_until(lambda: fleet.sql(FINISHED)[0][0] >= 2, 200)
        print(f"two sweeps finished after {time.monotonic() - began:.1f} s", fleet.sql(ON_HOSTS))
    assert seconds <= 60  # 30 where nothing else runs; the silent ones alone would take minutes
    assert fleet.sql(ALARMS) == []
    assert ("host:dead", "engine") in fleet.sql(ON_HOSTS)
    assert "expired" not in log.read_text() and "Discarding" not in log.read_text()
