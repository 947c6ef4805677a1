"""A whole dockmgr for one test: its own home, database and broker keys, driven through its commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import redis

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "DOCKMGR_RECHECK_INTERVAL": "1",
    "DOCKMGR_RESTART_BACKOFF": "1",
    "DOCKMGR_PROBE_TIMEOUT": "1",
    "DOCKMGR_SWEEP_INTERVAL": "5",
    "DOCKMGR_LEASE": "5",
}


class Fleet:
    """Commands, workers and containers of one installation; `prefix` keeps its customers apart."""

    def __init__(self, home: Path, docker_url: str, broker_url: str, database_url: str | None = None) -> None:
        self.home = home
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        self.broker_url = broker_url
        self.docker = docker.DockerClient(base_url=docker_url)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DOCKER_HOST": docker_url,
            "DOCKMGR_HOME": str(home),
            "DOCKMGR_STATE_FILE": str(home / "state.json"),
            "DOCKMGR_BROKER_URL": broker_url,
            "DOCKMGR_BROKER_PREFIX": f"{self.prefix}:",
            **({"DATABASE_URL": database_url} if database_url else {}),
            **QUICK,
        }

    def customer(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def start(self, *words: str, environ: Mapping[str, str] | None = None, log: Path | None = None) -> Any:
        """Start `python …` in the background; the caller ends it."""
        with open(log or os.devnull, "ab") as out:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env={**self.environ, **(environ or {})},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, command: str, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code."""
        return subprocess.run(
            [sys.executable, "manage.py", command, *words],
            cwd=ROOT, env=self.environ, capture_output=True, text=True, input=stdin, timeout=300, check=False,
        )  # fmt: skip

    def json(self, command: str, *words: str, code: int = 0) -> Any:
        """The JSON document a command prints; its exit code must be `code`."""
        done = self.run(command, *words, "--json")
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def set_up(self, image: str, **plan: Any) -> None:
        """Migrate, and describe the plan `pro` with small limits and a short grace."""
        assert self.run("migrate").returncode == 0
        entry = {"name": "pro", "image": image, "cpus": 0.5, "memory": "64m", "start_grace": 8, **plan}
        fleet = json.dumps({"hosts": [{"name": "local"}], "plans": [entry]})  # JSON is YAML
        assert self.run("apply", "-", stdin=fleet).returncode == 0

    def provision(self, name: str, **env: str) -> dict[str, Any]:
        """Provision a customer and return the result document."""
        customer = self.customer(name)
        pairs = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        subdomain = f"{customer}.example.com"
        document: dict[str, Any] = self.json(
            "provision", "--customer-id", customer, "--subdomain", subdomain, "--plan", "pro", *pairs
        )
        return document

    def container(self, name: str) -> Any:
        return self.docker.containers.get(f"dockmgr-{self.customer(name)}")

    def instances(self) -> dict[str, dict[str, Any]]:
        """INSTANCE documents by short name."""
        rows = self.json("instances")
        return {row["customer_id"].removeprefix(f"{self.prefix}-"): row for row in rows}

    def operations(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.json("operations", "--customer-id", self.customer(name))
        return rows

    @contextmanager
    def worker(self, *words: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A real worker serving all queues, ended at the end of the block."""
        name = f"{self.prefix}-{uuid.uuid4().hex[:6]}@test"
        with self._running("worker", "-n", name, *words, log=log) as process:
            yield process

    @contextmanager
    def beat(self, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        pidfile = str(self.home / f"beat-{uuid.uuid4().hex[:6]}.pid")
        with self._running("beat", "--pidfile", pidfile, log=log) as process:
            yield process

    @contextmanager
    def _running(self, *words: str, log: Path | None) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start("-m", "celery", "-A", "dockmgr", *words, log=log)
        try:
            yield process
        finally:
            end(process)

    def clean_up(self) -> None:
        """Remove every container, volume and broker key of this fleet."""
        for container in self.docker.containers.list(all=True, filters={"name": f"dockmgr-{self.prefix}-"}):
            container.remove(force=True)
        for volume in self.docker.volumes.list(filters={"name": f"dockmgr-{self.prefix}-"}):
            volume.remove(force=True)
        self.docker.close()
        connection = redis.Redis.from_url(self.broker_url)
        for key in connection.scan_iter(match=f"{self.prefix}:*"):
            connection.delete(key)
        connection.close()


def end(process: Any) -> None:
    """End a process this test started, gently and then not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
