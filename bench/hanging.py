"""`python -m bench.hanging [COUNT]`: sweeps in which instances hang, and a worker's memory over many checks.

One fleet of COUNT targets on one host and two workers: a sweep in which all answer, one in which two of a
hundred hang for the whole time a look may take, one beside a dead host of 500, and sweeps enough for 100,000
checks. Prints seconds and megabytes as one JSON document.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path

from bench.__main__ import BESIDE
from bench.arguments import count
from bench.check_cost import Scene, megabytes, wait_for
from bench.targets import HANGS_OF
from dev.servers import postgres, redis_server

COUNT, DEAD, CHECKS = 10_000, 500, 100_000
WORKER = "-m celery -A dockmgr worker -Q health -P threads -c 50 --without-gossip -n {}@bench"


def swept(count: int) -> tuple[float, float]:
    """Seconds from the order for a sweep until it has looked at so many, and until it is over."""
    from bench.database import (
        checked_by_sweep,
        counted_by_sweep,
        finished_sweeps,
        publish_sweep,
        sweeps_begun,
    )

    def are_looked_at() -> bool:
        return counted_by_sweep(number) >= count and checked_by_sweep(number, "bench") >= count

    number, already, began = sweeps_begun(), finished_sweeps(), time.perf_counter()
    publish_sweep()
    wait_for(lambda: sweeps_begun() > number, 60, "The beginning of a sweep")
    wait_for(are_looked_at, 600, "What a sweep was to find")
    seconds = time.perf_counter() - began
    wait_for(lambda: finished_sweeps() > already, 600, "The end of a sweep")
    return round(seconds, 2), round(time.perf_counter() - began, 2)


def measure(count: int, targets: int, workers: list[int]) -> dict[str, object]:
    """Each time is a pair: until all of the living are recorded, and until the sweep is over."""
    from bench.database import add_dead_host, leave_dead_host

    found: dict[str, object] = {"targets": count, "load before": os.getloadavg()}
    swept(count)
    times, memory = [], []
    for _ in range(max(3, CHECKS // count)):
        times.append(swept(count))
        memory.append([round(megabytes(pid, "VmRSS")) for pid in workers])
    found |= {"seconds": sorted(times)[len(times) // 2], "all": times, "MB": memory}
    with ExitStack() as stack:
        silent = [stack.enter_context(closing(socket.create_server(("127.0.0.2", 0)))) for _ in range(DEAD)]
        add_dead_host([server.getsockname()[1] for server in silent], count)
        found["beside a dead host"] = [swept(count) for _ in range(2)]
    leave_dead_host()
    os.kill(targets, signal.SIGUSR1)
    # Those that hang are being restarted soon, and then nobody looks at them.
    answering = count - count // HANGS_OF
    found["2 % hanging"] = [swept(answering) for _ in range(3)]
    found["peak MB"] = [round(megabytes(pid, "VmHWM")) for pid in workers]
    return found | {"load after": os.getloadavg()}


@contextmanager
def a_fleet(
    count: int, folder: Path, broker: str, database: str, **environ: str
) -> Iterator[tuple[Scene, int]]:
    """A scene with a fleet of targets on one host, nothing watching it yet; also the targets' process id."""
    folder.chmod(0o755)
    home = {"DOCKMGR_HOME": str(folder / "home"), "DOCKMGR_STATE_FILE": str(folder / "home" / "state.json")}
    servers = {
        "DOCKMGR_BROKER_URL": broker,
        "DATABASE_URL": database,
        "MALLOC_ARENA_MAX": "2",
    }  # as in the image
    os.environ.update({f"DOCKMGR_{what}": "0" for what in BESIDE} | home | servers | environ)
    scene = Scene(folder, count, dict(os.environ))
    with scene.process("-m", "bench.targets", str(count), str(scene.ports_file)) as targets:
        wait_for(scene.ports_file.exists, 60, "Listening on all ports")
        from bench import database as rows

        listening = json.loads(scene.ports_file.read_text())
        rows.fill(listening["ports"], listening["engines"])
        yield scene, targets.pid


def worker(scene: Scene, name: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A worker that makes checks."""
    return scene.process(*WORKER.format(name).split())


def main(count: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="dockmgr-bench-") as name,
        redis_server(Path(name)) as broker,
        postgres(Path(name), {}) as database,
        a_fleet(count, Path(name), broker, database) as (scene, targets),
        worker(scene, "a") as one,
        worker(scene, "b") as other,
    ):
        print(json.dumps(measure(count, targets, [one.pid, other.pid])))


if __name__ == "__main__":
    main(count(COUNT))
