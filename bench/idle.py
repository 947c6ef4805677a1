"""What watching costs while nothing happens: dockmgr and its engine, with and without looks between sweeps.

`python -m bench.idle [COUNT [MINUTES [FILE]]]` makes COUNT (100) idle containers on an engine of its own, and
measures MINUTES (10) for each way, one after another on the same containers. What the engine does for the
containers themselves is in all ways alike.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.processes import cpu_seconds
from dev.demo_image import build
from dev.servers import docker_engine, postgres, redis_server
from tests.real.fleet import Fleet, a_fleet, end

TAG = "dockmgr-bench-idle:1"
SETTLES = 20  # seconds after a worker has started
OFF = {
    "DOCKMGR_SWEEP_INTERVAL": "900", "DOCKMGR_EVENTS": "0", "DOCKMGR_LOOK_INTERVAL": "0",
    "DOCKMGR_LIST_INTERVAL": "0", "DOCKMGR_USAGE_INTERVAL": "0", "DOCKMGR_DISK_INTERVAL": "0",
}  # fmt: skip
ON = {
    "DOCKMGR_EVENTS": "1", "DOCKMGR_LOOK_INTERVAL": "60", "DOCKMGR_LIST_INTERVAL": "30",
    "DOCKMGR_USAGE_INTERVAL": "60", "DOCKMGR_LOG_STREAMS": "0",
}  # fmt: skip
WAYS = {
    "sweeps alone": OFF,
    "with events, lists, looks and usage": {**OFF, **ON},
    "and all logs followed": {**OFF, **ON, "DOCKMGR_LOG_STREAMS": "1000"},
}


@dataclass(frozen=True)
class Idle:
    """CPU seconds of each part in so many seconds."""

    way: str
    instances: int
    seconds: float
    worker: float
    engine: float
    database: float


def engine_process(url: str) -> int:
    """The process of the engine at a socket of ours."""
    folder = str(Path(url.removeprefix("unix://")).parent)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[0].endswith("dockerd") and any(word.startswith(folder) for word in words):
                    return int(entry.name)
    raise LookupError(folder)


def measured(fleet: Fleet, way: str, count: int, minutes: float, servers: tuple[int, int]) -> Idle:
    words = ("-m", "celery", "-A", "dockmgr", "worker", "-n", f"{fleet.prefix}-idle@bench")
    worker = fleet.start(*words, environ=WAYS[way], log=fleet.home / "worker.log")
    try:
        time.sleep(SETTLES)
        parts = (worker.pid, *servers)
        before, began = [cpu_seconds(pid) for pid in parts], time.monotonic()
        time.sleep(minutes * 60)
        spent = [cpu_seconds(pid) - was for pid, was in zip(parts, before, strict=True)]
        return Idle(way, count, time.monotonic() - began, *spent)
    finally:
        end(worker)


def show(rows: list[Idle]) -> None:
    table = Table(title=f"Per cent of a core, {rows[0].instances} idle instances on one engine")
    for column in ("way", "worker", "engine", "database"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for row in rows:
        parts = (100 * part / row.seconds for part in (row.worker, row.engine, row.database))
        table.add_row(row.way, *(f"{part:.1f}" for part in parts))
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def run(folder: Path, count: int, minutes: float) -> list[Idle]:
    folder.chmod(0o755)
    with contextlib.ExitStack() as held:
        url = held.enter_context(docker_engine(folder, {})).url
        broker = held.enter_context(redis_server(folder))
        database = held.enter_context(postgres(folder, {}))
        build(url, TAG)
        plan = {"memory": "32m", "cpus": 0.1, "start_grace": 60, "log_alerts": [{"match": "never said"}]}
        fleet = held.enter_context(
            a_fleet(folder / "home", url, broker, TAG, database_url=database, environ=OFF, **plan)
        )
        fleet.provision_all(*(f"c{number}" for number in range(count)))
        postmaster = fleet.sql("SELECT pg_read_file('postmaster.pid')")[0][0]
        servers = engine_process(url), int(postmaster.split()[0])
        return [measured(fleet, way, count, minutes, servers) for way in WAYS]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory(prefix="dm-bi-") as name:
        rows = run(Path(name), count, minutes)
    show(rows)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    file = results / f"idle-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"
    file = Path(sys.argv[3]) if len(sys.argv) > 3 else file
    file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print(f"written: {file}")


if __name__ == "__main__":
    main()
