"""What watching costs while nothing happens: our processes, the engine and the database, by what is done.

`python -m bench.idle [COUNT [MINUTES]]` makes COUNT (100) idle containers on an engine of its own and
measures MINUTES (15) for each way, one after another on the same containers, in CPU seconds. What the
engine does for the containers themselves is in all ways alike. Disk, as shipped asked for once an hour,
is asked for once in each span.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.arguments import count as counted
from bench.processes import cpu_seconds
from bench.results import write
from dev.demo_image import build
from dev.servers import docker_engine, postgres, redis_server
from tests.real.fleet import Fleet, a_fleet, end

TAG = "dockmgr-bench-idle:1"
SETTLES = 30  # seconds after worker and beat have started
# The pools of a test engine have room for 126 containers on a bridge.
ROOM = {"default-address-pools": [{"base": "192.168.0.0/16", "size": 21}]}
PARTS = ("worker", "beat", "engine", "database")


def ways(minutes: float) -> dict[str, dict[str, str]]:
    """Settings by the name of the way. Each span sees one sweep, as 15 minutes do as shipped."""
    span = str(int(minutes * 60))
    off = {
        "DOCKMGR_SWEEP_INTERVAL": span, "DOCKMGR_EVENTS": "0", "DOCKMGR_LOOK_INTERVAL": "0",
        "DOCKMGR_LIST_INTERVAL": "0", "DOCKMGR_USAGE_INTERVAL": "0", "DOCKMGR_DISK_INTERVAL": "0",
        "DOCKMGR_LOG_STREAMS": "0",
    }  # fmt: skip
    beside = {
        "DOCKMGR_EVENTS": "1", "DOCKMGR_LOOK_INTERVAL": "60", "DOCKMGR_LIST_INTERVAL": "30",
        "DOCKMGR_USAGE_INTERVAL": "60", "DOCKMGR_DISK_INTERVAL": span,
    }  # fmt: skip
    return {
        "sweeps alone": off,
        "with events, looks, usage, disk": {**off, **beside},
        "and every log followed": {**off, **beside, "DOCKMGR_LOG_STREAMS": "1000"},
    }


@dataclass(frozen=True)
class Idle:
    """CPU seconds of each part in so many seconds."""

    way: str
    instances: int
    seconds: float
    worker: float
    beat: float
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


def measured(
    fleet: Fleet, way: str, count: int, minutes: float, environ: dict[str, str], servers: tuple[int, int]
) -> Idle:
    celery, log = ("-m", "celery", "-A", "dockmgr"), fleet.home / "celery.log"
    names = ("worker", "-n", f"{fleet.prefix}-idle@bench"), ("beat", "--pidfile=")
    ours = [fleet.start(*celery, *words, environ=environ, log=log) for words in names]
    try:
        time.sleep(SETTLES)
        parts = (*(process.pid for process in ours), *servers)
        before, began = [cpu_seconds(pid) for pid in parts], time.monotonic()
        time.sleep(minutes * 60)
        spent = [cpu_seconds(pid) - was for pid, was in zip(parts, before, strict=True)]
        return Idle(way, count, time.monotonic() - began, *spent)
    finally:
        for process in ours:
            end(process)


def show(rows: list[Idle]) -> None:
    table = Table(title=f"Per cent of a core, {rows[0].instances} idle instances on one engine")
    for column in ("way", *PARTS):
        table.add_column(column, justify="left" if column == "way" else "right")
    for row in rows:
        table.add_row(row.way, *(f"{100 * getattr(row, part) / row.seconds:.1f}" for part in PARTS))
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def run(folder: Path, count: int, minutes: float) -> list[Idle]:
    folder.chmod(0o755)
    with contextlib.ExitStack() as held:
        url = held.enter_context(docker_engine(folder, {}, settings=ROOM)).url
        broker = held.enter_context(redis_server(folder))
        database = held.enter_context(postgres(folder, {}))
        build(url, TAG)
        off, *_ = ways(minutes).values()
        plan = {"memory": "32m", "cpus": 0.1, "start_grace": 60, "log_alerts": [{"match": "never said"}]}
        fleet = held.enter_context(
            a_fleet(folder / "home", url, broker, TAG, database_url=database, environ=off, **plan)
        )
        fleet.provision_all(*(f"c{number}" for number in range(count)))
        postmaster = fleet.sql("SELECT pg_read_file('postmaster.pid')")[0][0]
        servers = engine_process(url), int(postmaster.split()[0])
        return [
            measured(fleet, way, count, minutes, environ, servers) for way, environ in ways(minutes).items()
        ]


def main() -> None:
    count, minutes = counted(100, 1, what="instances"), counted(15, 1, 2, "minutes")
    with tempfile.TemporaryDirectory(prefix="dm-bi-") as name:
        rows = run(Path(name), count, minutes)
    show(rows)
    write("idle", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
