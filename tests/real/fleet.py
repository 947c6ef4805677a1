"""A whole dockmgr for one test: its own home, database and broker keys, driven through its commands."""

from __future__ import annotations

import functools
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import redis
from celery import Celery

from instances.containers.spec import container_name
from tests.real.commands import PATIENCE, PROGRAM, ROOT, Commands, Process
from tests.real.live import file_in, get, wait_until
from tests.real.migrated import migrated, migrated_on
from tests.real.records import Records

COMMANDS_AT_ONCE = 3
PORT_RANGES, PORTS_A_RANGE = 6, 2000
QUICK = {
    "DOCKMGR_RECHECK_INTERVAL": "1",
    "DOCKMGR_RESTART_BACKOFF": "1",
    "DOCKMGR_PROBE_TIMEOUT": "1",
    "DOCKMGR_SWEEP_INTERVAL": "5",
    "DOCKMGR_LEASE": "5",
    "DOCKMGR_EVENTS": "0",
    "DOCKMGR_ORPHANS_INTERVAL": "0",  # other fleets share the engine
    "DOCKMGR_LOOK_INTERVAL": "0",
    "DOCKMGR_LIST_INTERVAL": "0",
    "DOCKMGR_USAGE_INTERVAL": "0",
    "DOCKMGR_DISK_INTERVAL": "0",
    "DOCKMGR_OUTSIDE_INTERVAL": "0",
}


def port_blocks() -> Iterator[int]:
    """First ports, each with 50 of its own: a port that a stopped container leaves is no other fleet's.

    Processes that run tests side by side draw from ranges of their own, and runs begin anywhere in them.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PORT_RANGES
    blocks = range(20000 + worker * PORTS_A_RANGE, 20000 + (worker + 1) * PORTS_A_RANGE, 50)
    start = random.SystemRandom().randrange(len(blocks))
    return itertools.cycle([*blocks[start:], *blocks[:start]])


PORT_BLOCKS = port_blocks()


class Fleet(Records):
    """Commands, workers and containers of one installation; `prefix` keeps its customers apart."""

    def __init__(
        self,
        home: Path,
        docker_url: str,
        broker_url: str,
        database_url: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.prefix = f"t{uuid.uuid4().hex[:8]}"
        self.broker_url = broker_url
        self.database_url = database_url
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
            **(environ or {}),
        }

    @functools.cached_property
    def commands(self) -> Commands:
        return Commands(self.environ)

    def start(
        self, *words: str, environ: Mapping[str, str] | None = None, log: Path | None = None
    ) -> Process:
        """Start `python …`, with `environ` in an interpreter of its own; the caller ends it."""
        with open(log or os.devnull, "ab") as out, open(os.devnull, "rb") as nothing:
            if not environ:
                return self.commands.start(*words, streams=[nothing.fileno(), out.fileno(), out.fileno()])
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env={**self.environ, **environ},
                stdin=nothing,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(
        self, command: str, *words: str, stdin: str | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code; with `environ` in an interpreter of its own."""
        if not environ:
            return self.commands.run(command, *words, stdin=stdin)
        return subprocess.run(
            [sys.executable, PROGRAM, command, *words], cwd=ROOT, env={**self.environ, **environ},
            capture_output=True, text=True, input=stdin, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def run_all(self, *commands: tuple[str, ...], **environ: str) -> list[subprocess.CompletedProcess[str]]:
        """Run commands side by side, a few at a time; results in order."""
        with ThreadPoolExecutor(COMMANDS_AT_ONCE) as pool:
            return list(pool.map(lambda words: self.run(*words, **environ), commands))

    def json(self, command: str, *words: str, code: int = 0) -> Any:
        """The JSON document a command prints; its exit code must be `code`."""
        return document(self.run(command, *words, "--json"), code)

    @contextmanager
    def command(self, *words: str, log: Path | None = None) -> Iterator[Process]:
        """A command that runs while the block does."""
        process = self.start("manage.py", *words, log=log)
        try:
            yield process
        finally:
            end(process)

    def set_up(self, image: str, **plan: Any) -> None:
        """Migrate, and describe the plan `pro` with small limits and a short grace."""
        entry = {"name": "pro", "image": image, "cpus": 0.5, "memory": "64m", "start_grace": 8, **plan}
        host = {"name": "local", "first_port": next(PORT_BLOCKS)}
        fleet = json.dumps({"hosts": [host], "plans": [entry]})  # JSON is YAML
        interval = self.environ["DOCKMGR_SWEEP_INTERVAL"]
        before = migrated_on(self.database_url, interval) if self.database_url else migrated(interval)
        shutil.copytree(before, self.home, dirs_exist_ok=True)
        ended_well(self.run("apply", "-", stdin=fleet))

    def order(self, name: str, **env: str) -> tuple[str, ...]:
        """The words of the command that provisions a customer."""
        customer = self.customer(name)
        pairs = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
        subdomain = f"{customer}.example.com"
        named = ("--customer-id", customer, "--subdomain", subdomain, "--plan", "pro")
        return ("provision", *named, *pairs)

    def provision(self, name: str, **env: str) -> dict[str, Any]:
        """Provision a customer and return the result document."""
        result: dict[str, Any] = self.json(*self.order(name, **env))
        return result

    def provision_all(self, *names: str, **env: str) -> None:
        """Provision customers by commands side by side; each must succeed."""
        for done in self.run_all(*((*self.order(name, **env), "--json") for name in names)):
            document(done, 0)

    def container(self, name: str) -> Any:
        return self.docker.containers.get(container_name(self.customer(name)))

    def containers(self) -> list[str]:
        found = self.docker.containers.list(all=True, filters={"name": f"dockmgr-{self.prefix}-"})
        return sorted(str(container.name).removeprefix(f"dockmgr-{self.prefix}-") for container in found)

    def volumes(self) -> list[str]:
        found = self.docker.volumes.list(filters={"name": f"dockmgr-{self.prefix}-"})
        return sorted(volume.name.removeprefix(f"dockmgr-{self.prefix}-") for volume in found)

    def inside(self, name: str, script: str) -> str:
        """What a shell script in the customer's container prints."""
        code, output = self.container(name).exec_run(["/bin/sh", "-c", script])
        assert code == 0, output
        return str(output.decode())

    def read(self, name: str, path: str) -> str:
        """A file in the customer's container: an engine that is busy may lose what `cat` prints there."""
        return file_in(self.container(name), path)

    def boots(self, name: str) -> int:
        """How often the customer's containers have started on this data volume."""
        return self.read(name, "/data/boots").count("boot")

    def switch(self, name: str, mode: str) -> None:
        """Make a customer's instance answer differently until its next start."""
        [binding] = self.container(name).attrs["NetworkSettings"]["Ports"]["8080/tcp"]
        assert get(int(binding["HostPort"]), f"/mode/{mode}")[0] == 200

    def instances(self) -> dict[str, dict[str, Any]]:
        """INSTANCE documents by short name."""
        rows = self.json("instances")
        return {row["customer_id"].removeprefix(f"{self.prefix}-"): row for row in rows}

    def operations(self, name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.json("operations", "--customer-id", self.customer(name))
        return rows

    def restarts(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.operations(name) if row["kind"] == "restart"]

    @contextmanager
    def worker(self, *words: str, log: Path | None = None) -> Iterator[Process]:
        """A real worker serving all queues, ended at the end of the block."""
        name = f"{self.prefix}-{uuid.uuid4().hex[:6]}@test"
        with self._running("worker", "-n", name, *words, log=log) as process:
            yield process

    @contextmanager
    def beat(self, log: Path | None = None) -> Iterator[Process]:
        pidfile = str(self.home / f"beat-{uuid.uuid4().hex[:6]}.pid")
        with self._running("beat", "--pidfile", pidfile, log=log) as process:
            yield process

    @contextmanager
    def _running(self, *words: str, log: Path | None) -> Iterator[Process]:
        log = log or self.home / f"{words[0]}.log"
        process = self.start("-m", "celery", "-A", "dockmgr", *words, log=log)
        try:
            yield process
        finally:
            end(process)

    @contextmanager
    def stranger(self) -> Iterator[Celery]:
        """A Celery application that knows the broker and nothing of dockmgr."""
        app = Celery("stranger", broker=self.broker_url, backend=self.broker_url, set_as_current=False)
        app.conf.broker_transport_options = {"global_keyprefix": f"{self.prefix}:"}
        app.conf.result_backend_transport_options = {"global_keyprefix": f"{self.prefix}:"}
        app.conf.task_default_queue = "operations"
        try:
            yield app
        finally:
            app.close()

    def redis(self) -> redis.Redis:
        """A connection to the broker, to look at what lies there; the caller closes it."""
        return redis.Redis.from_url(self.broker_url.replace("redis+socket", "unix"))

    def clean_up(self) -> None:
        """Remove every process, container, volume and broker key of this fleet."""
        self.commands.close()
        for container in self.docker.containers.list(all=True, filters={"name": f"dockmgr-{self.prefix}-"}):
            container.remove(force=True)
        for volume in self.docker.volumes.list(filters={"name": f"dockmgr-{self.prefix}-"}):
            volume.remove(force=True)
        self.docker.close()
        with closing(self.redis()) as connection:
            for key in connection.scan_iter(match=f"{self.prefix}:*"):
                connection.delete(key)


@contextmanager
def a_fleet(
    home: Path,
    docker_url: str,
    broker_url: str,
    image: str,
    *,
    database_url: str | None = None,
    environ: Mapping[str, str] | None = None,
    **plan: Any,
) -> Iterator[Fleet]:
    """A fleet that is set up, and removed at the end whatever happened."""
    fleet = Fleet(home, docker_url, broker_url, database_url, environ)
    try:
        fleet.set_up(image, **plan)
        yield fleet
    finally:
        fleet.clean_up()


def ended_well(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def document(done: subprocess.CompletedProcess[str], code: int) -> Any:
    """The JSON document a command printed; its exit code must be `code`."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def end(process: Process) -> None:
    """End a process this test started, gently and then not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def all_healthy(fleet: Fleet, seconds: float = 120) -> None:
    """Return when no operation is under way and every instance is healthy."""
    wait_until(lambda: not fleet.unfinished() and set(fleet.health().values()) == {"healthy"}, seconds)
