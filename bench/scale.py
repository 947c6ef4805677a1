"""`python -m bench.scale [COUNT]`: hold bench/scale_model.py against real sweeps, and go on with it.

A check's costs are measured with COUNT targets that answer at once. From these alone the model says how long
sweeps take in which some hang, by two processes, and the other way of checking; each is then really swept.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.__main__ import BESIDE
from bench.arguments import count
from bench.check_cost import ROOT, Cost, Scene, wait_for
from bench.check_cost import dockmgr as swept
from bench.processes import cpu_seconds
from bench.results import write
from bench.scale_model import Costs, Machines, Targets, Way, sweep
from dev.servers import postgres, redis_server

COUNT, ROUNDS, HANGING = 2000, 3, 0.02
# At once; for how long one that hangs takes a place; how long one waits to be recorded, half of `LINGER`.
HOLDS = {"bulk": (1000, 0.5, 0.25), "stock": (50, 5.0, 0.0)}
ROUND = ("seconds", "broker_bytes")
AHEAD = [  # instances, worker processes and their cores, cores of the database, brokers
    (50_000, 2, 2, 1, 1),
    (50_000, 4, 4, 2, 1),
    (200_000, 16, 16, 4, 1),
    (1_000_000, 16, 16, 4, 1),
    (1_000_000, 64, 64, 16, 1),
    (1_000_000, 64, 64, 16, 8),
]


@dataclass(frozen=True)
class Held:
    """A sweep as the model says and as it was."""

    what: str
    said: float
    measured: float

    @property
    def off_by(self) -> float:
        return self.said / self.measured - 1


class Stand:
    """Real targets, servers and workers, of one count."""

    def __init__(self, scene: Scene, targets: subprocess.Popen[bytes]) -> None:
        self.scene, self.targets = scene, targets

    def way(self, name: str) -> tuple[Way, Cost]:
        """What it costs with one worker and targets that answer at once, and the sweep that showed it."""
        from bench.database import publishing

        publishing_seconds, message_bytes = publishing()
        before = cpu_seconds(self.targets.pid)
        cost = swept(self.scene, ROUNDS, name)
        answering = (cpu_seconds(self.targets.pid) - before) / (ROUNDS + 1)
        worker = cost.cpu_seconds - sum(cost.servers.values())
        costs = Costs(
            publishing=publishing_seconds,
            worker=worker / cost.checks - publishing_seconds,
            broker=cost.servers["Redis"] / cost.checks,
            database=cost.servers["PostgreSQL"] / cost.checks,
            message_bytes=message_bytes,
            answering=answering / cost.checks,
        )
        return Way(name, costs, *HOLDS[name]), cost

    def with_hanging(self, name: str) -> float:
        self.targets.send_signal(signal.SIGUSR1)
        return swept(self.scene, ROUNDS, name).seconds

    def with_another(self, name: str) -> float:
        """By two worker processes."""
        with self.scene.process(*worker_words("another"), DOCKMGR_CHECKS=name):
            return swept(self.scene, ROUNDS, name).seconds


def worker_words(name: str) -> Sequence[str]:
    words = f"-m celery -A dockmgr worker -Q health -P threads -c 50 --without-gossip -n {name}@bench"
    return words.split()


def hold(stand: Stand, count: int) -> tuple[list[Way], list[Held]]:
    cores = os.cpu_count() or 1
    one, two = (Machines(number, cores, shares_cores=True) for number in (1, 2))
    (bulk, in_bulk), (stock, one_by_one) = stand.way("bulk"), stand.way("stock")
    some = Targets(count, hanging=HANGING)
    rows = [
        Held("in bulk, one process", sweep(Targets(count), bulk, one).seconds, in_bulk.seconds),
        Held("one by one, one process", sweep(Targets(count), stock, one).seconds, one_by_one.seconds),
        Held("in bulk, two processes", sweep(Targets(count), bulk, two).seconds, stand.with_another("bulk")),
        Held("in bulk, 2 % hang", sweep(some, bulk, one).seconds, stand.with_hanging("bulk")),
    ]
    return [bulk, stock], rows


def go_on(way: Way) -> list[dict[str, object]]:
    rows = []
    for number, processes, cores, database_cores, brokers in AHEAD:
        machines = Machines(processes, cores, database_cores, brokers)
        result = sweep(Targets(number, answers_after=0.05, hanging=0.001), way, machines)
        rows.append({"instances": number, **asdict(machines), **asdict(result), "busiest": result.busiest})
    return rows


def show(ways: Sequence[Way], held: Sequence[Held], ahead: Sequence[dict[str, object]]) -> None:
    parties = ("publishing", "worker", "Redis", "PostgreSQL", "the targets", "bytes a message")
    tables = [Table("way", *parties, title="CPU ms a check")]
    for way in ways:
        costs = asdict(way.costs)
        message = f"{costs.pop('message_bytes'):.0f}"
        tables[0].add_row(way.name, *(f"{seconds * 1000:.3f}" for seconds in costs.values()), message)
    tables.append(Table("sweep", "model, s", "measured, s", "off by", title="As said and as it was"))
    for row in held:
        tables[1].add_row(row.what, f"{row.said:.2f}", f"{row.measured:.2f}", f"{row.off_by:+.0%}")
    columns = ("instances", "processes", "database_cores", "brokers", "seconds", "broker_bytes", "busiest")
    tables.append(Table(*columns, title="And on"))
    for found in ahead:
        tables[2].add_row(*(f"{found[name]:.0f}" if name in ROUND else str(found[name]) for name in columns))
    for table in tables:
        Console(width=None if sys.stdout.isatty() else 130).print(table)


def main(count: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dockmgr-bench-")))
        folder.chmod(0o755)
        os.environ.update({f"DOCKMGR_{what}": "0" for what in BESIDE})
        os.environ.update(
            DOCKMGR_HOME=str(folder / "home"),
            DOCKMGR_STATE_FILE=str(folder / "home" / "state.json"),
            DOCKMGR_BROKER_URL=stack.enter_context(redis_server(folder)),
            DATABASE_URL=stack.enter_context(postgres(folder, {})),
        )
        scene = Scene(folder, count, dict(os.environ))
        targets = stack.enter_context(scene.process("-m", "bench.targets", str(count), str(scene.ports_file)))
        wait_for(scene.ports_file.exists, 60, "Listening on all ports")
        from bench import database

        listening = json.loads(scene.ports_file.read_text())
        database.fill(listening["ports"], listening["engines"])
        scene.servers = {"PostgreSQL": database.postmaster(), "Redis": database.redis_server()}
        ways, held = hold(Stand(scene, targets), count)
    ahead = go_on(ways[0])
    show(ways, held, ahead)
    write("scale", [*map(asdict, ways), *map(asdict, held), *ahead])


if __name__ == "__main__":
    os.chdir(ROOT)
    main(count(COUNT))
