"""What one check costs, whole path: sweep, message, probe, judged and committed row on PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.processes import cpu_seconds

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Cost:
    """One way of doing `checks` checks; CPU is of everything but the targets, `servers` the part of each."""

    way: str
    checks: int
    seconds: float
    cpu_seconds: float
    servers: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_ms(self) -> float:
        return self.cpu_seconds * 1000 / self.checks

    @property
    def per_second(self) -> float:
        return self.checks / self.seconds

    def document(self) -> dict[str, object]:
        return {**asdict(self), "cpu_ms_per_check": self.cpu_ms, "checks_per_second": self.per_second}


class Scene:
    """Targets, servers and environment of one run, with the processes whose CPU counts."""

    def __init__(self, folder: Path, count: int, environ: dict[str, str]) -> None:
        self.folder, self.count, self.environ = folder, count, environ
        self.ports_file = folder / "targets.json"
        self.servers: dict[str, int] = {}  # process ids

    @contextmanager
    def process(self, *words: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        with open(self.folder / "processes.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env={**self.environ, **environ}, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def cpu_of_servers(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self.servers.items()}


def wait_for(true: Callable[[], bool], seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            raise SystemExit(f"{what} did not happen within {seconds:.0f} s; see processes.log.")
        time.sleep(0.02)


def bare(scene: Scene) -> Cost:
    result = json.loads(scene.run("-m", "bench.bare", str(scene.ports_file)))
    return Cost("bare asynchronous prober (aiohttp), no state", result["checks"], result["seconds"],
                result["cpu_seconds"])  # fmt: skip


def measured(
    scene: Scene, way: str, worker: str, start: Callable[[], object], done: Callable[[int], bool],
    rounds: int,
    **environ: str,
) -> Cost:  # fmt: skip
    """The median of `rounds` passes by one worker; the first pass warms up and does not count."""
    costs = []
    with scene.process("-m", "celery", *worker.split(), "-n", "bench@localhost", **environ) as process:
        for number in range(rounds + 1):
            servers, own, began = scene.cpu_of_servers(), cpu_seconds(process.pid), time.perf_counter()
            start()
            wait_for(lambda number=number: done(number), 300, f"A pass of {way}")  # type: ignore[misc]
            seconds = time.perf_counter() - began
            servers = {name: cpu - servers[name] for name, cpu in scene.cpu_of_servers().items()}
            own = cpu_seconds(process.pid) - own
            costs.append(Cost(way, scene.count, seconds, own + sum(servers.values()), servers))
    return sorted(costs[1:], key=lambda cost: cost.cpu_seconds)[rounds // 2]


def dockmgr(scene: Scene, rounds: int, way: str) -> Cost:
    """As it is deployed: one sweep message, one worker process with 50 threads. `way` is DOCKMGR_CHECKS."""
    from bench.database import finished_sweeps, publish_sweep

    already = finished_sweeps()
    worker = "-A dockmgr worker -Q health -P threads -c 50"
    return measured(
        scene,
        f"dockmgr ({way}): sweep, messages, probes, group commit",
        f"{worker} --without-gossip --without-mingle --without-heartbeat",
        publish_sweep,
        lambda number: finished_sweeps() > already + number,
        rounds,
        DOCKMGR_CHECKS=way,
    )


def obvious(scene: Scene, rounds: int) -> Cost:
    """As most would write it first."""
    from bench.database import history_length, publish_obvious

    already = history_length()
    return measured(
        scene,
        "the obvious way: prefork, delay, ORM, requests.get",
        "-A bench.obvious worker -c 2",
        publish_obvious,
        lambda number: history_length() >= already + (number + 1) * scene.count,
        rounds,
    )
