"""What one check costs, whole path: sweep, message, probe, judged and committed row on PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.processes import cpu_seconds

ROOT = Path(__file__).resolve().parent.parent
WORKER = (
    "-A dockmgr worker -Q health -P threads -c 50 -n bench@localhost"
    " --without-gossip --without-mingle --without-heartbeat"
)
LOOKS_A_SECOND = 200


@dataclass(frozen=True)
class Cost:
    """One way of doing `checks` checks; CPU is of everything but the targets, `servers` the part of each.

    `memory` is the most that one of its processes had, in megabytes.
    """

    way: str
    checks: int
    seconds: float
    cpu_seconds: float
    servers: dict[str, float] = field(default_factory=dict)
    memory: float = 0.0
    is_as_fast_as_it_can: bool = True

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

    def process(self, *words: str, **environ: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """One of ours, by what Python is to run."""
        return self.program(sys.executable, *words, **environ)

    @contextmanager
    def program(self, *command: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
        with open(self.folder / "processes.log", "ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environ, **environ}, stdout=log, stderr=log
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
    """Ask again and again; what takes long to answer is asked less often: it takes from what is measured."""
    until = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        if true():
            return
        now = time.monotonic()
        if now > until:
            raise SystemExit(f"{what} did not happen within {seconds:.0f} s; see processes.log.")
        time.sleep(max(0.02, 20 * (now - asked)))


def bare(scene: Scene) -> Cost:
    result = json.loads(scene.run("-m", "bench.bare", str(scene.ports_file)))
    return Cost("bare asynchronous prober (aiohttp), no state", result["checks"], result["seconds"],
                result["cpu_seconds"], memory=result["megabytes"])  # fmt: skip


def megabytes(pid: int, what: str) -> float:
    """A process' memory now (VmRSS) or at most (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def measured(
    scene: Scene, way: str, worker: str, start: Callable[[], object], done: Callable[[int], bool],
    rounds: int,
    **environ: str,
) -> Cost:  # fmt: skip
    """The median of `rounds` passes by one worker; the first pass warms up and does not count."""
    costs = []
    with scene.process("-m", "celery", *worker.split(), **environ) as process:
        for number in range(rounds + 1):
            servers, own, began = scene.cpu_of_servers(), cpu_seconds(process.pid), time.perf_counter()
            start()
            wait_for(lambda number=number: done(number), 300, f"A pass of {way}")  # type: ignore[misc]
            seconds = time.perf_counter() - began
            servers = {name: cpu - servers[name] for name, cpu in scene.cpu_of_servers().items()}
            own = cpu_seconds(process.pid) - own
            memory = megabytes(process.pid, "VmHWM")
            costs.append(Cost(way, scene.count, seconds, own + sum(servers.values()), servers, memory))
    return sorted(costs[1:], key=lambda cost: cost.cpu_seconds)[rounds // 2]


def dockmgr(scene: Scene, rounds: int, way: str) -> Cost:
    """As it is deployed: one sweep message, one worker process with 50 threads. `way` is DOCKMGR_CHECKS."""
    from bench.database import finished_sweeps, publish_sweep

    already = finished_sweeps()
    return measured(
        scene,
        f"dockmgr ({way}): sweep, messages, probes, group commit",
        WORKER,
        publish_sweep,
        lambda number: finished_sweeps() > already + number,
        rounds,
        DOCKMGR_CHECKS=way,
    )


def looks(scene: Scene) -> Cost:
    """Two rounds of looks between sweeps after a first one, with all else a worker does meanwhile."""
    from bench.database import checked_since, looked_every, now

    within, began = max(10, scene.count // LOOKS_A_SECOND), now()
    every = looked_every(within)
    with scene.process("-m", "celery", *WORKER.split(), DOCKMGR_LOOK_INTERVAL=str(within)) as process:
        wait_for(lambda: checked_since(began) == scene.count, 60 + 3 * every, "The first round of looks")
        servers, own, started = scene.cpu_of_servers(), cpu_seconds(process.pid), time.perf_counter()
        time.sleep(2 * every)
        seconds = time.perf_counter() - started
        spent = {name: cpu - servers[name] for name, cpu in scene.cpu_of_servers().items()}
        own = cpu_seconds(process.pid) - own
        memory, checks = megabytes(process.pid, "VmHWM"), round(scene.count * seconds / every)
    total = own + sum(spent.values())
    return Cost(
        "dockmgr: looks between sweeps", checks, seconds, total, spent, memory, is_as_fast_as_it_can=False
    )


def obvious(scene: Scene, rounds: int) -> Cost:
    """As most would write it first."""
    from bench.database import history_length, publish_obvious

    already = history_length()
    return measured(
        scene,
        "the obvious way: prefork, delay, ORM, requests.get",
        "-A bench.obvious worker -c 2 -n bench@localhost",
        publish_obvious,
        lambda number: history_length() >= already + (number + 1) * scene.count,
        rounds,
    )
