"""`python -m bench [COUNT]`: run the benchmarks, print tables, write JSON to bench/results/."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.arguments import count
from bench.check_cost import Cost, Scene, bare, wait_for
from bench.check_cost import dockmgr as dockmgr_way
from bench.check_cost import obvious as obvious_way
from bench.results import write
from dev.servers import postgres, redis_server

COUNT = 2000
ROUNDS = 3
# What else workers would do meanwhile.
BESIDE = ("LOOK_INTERVAL", "LIST_INTERVAL", "USAGE_INTERVAL", "EVENTS")


def run(count: int) -> list[Cost]:
    with (
        tempfile.TemporaryDirectory(prefix="dockmgr-bench-") as name,
        redis_server(Path(name)) as broker,
        postgres(Path(name), {}) as database,
    ):
        folder = Path(name)
        os.environ.update({f"DOCKMGR_{what}": "0" for what in BESIDE})
        os.environ.update(
            DOCKMGR_HOME=str(folder / "home"),
            DOCKMGR_STATE_FILE=str(folder / "home" / "state.json"),
            DOCKMGR_BROKER_URL=broker,
            DATABASE_URL=database,
        )
        scene = Scene(folder, count, dict(os.environ))
        with scene.process("-m", "bench.targets", str(count), str(scene.ports_file)):
            wait_for(scene.ports_file.exists, 60, "Listening on all ports")
            return compare(scene)


def compare(scene: Scene) -> list[Cost]:
    from bench import database

    listening = json.loads(scene.ports_file.read_text())
    database.fill(listening["ports"], listening["engines"])
    scene.servers = {"PostgreSQL": database.postmaster(), "Redis": database.redis_server()}
    ways = [dockmgr_way(scene, ROUNDS, way) for way in ("bulk", "stock")]
    return [bare(scene), *ways, obvious_way(scene, 1)]


def show(costs: list[Cost]) -> None:
    floor = costs[0].cpu_ms
    table = Table(title=f"Cost of a health check, {costs[0].checks} targets, without the targets' own work")
    for column in ("way", "CPU ms a check", "times the bare prober", "checks a second"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for cost in costs:
        table.add_row(cost.way, f"{cost.cpu_ms:.2f}", f"{cost.cpu_ms / floor:.1f}", f"{cost.per_second:.0f}")
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def main() -> None:
    costs = run(count(COUNT))
    show(costs)
    write("check-cost", [cost.document() for cost in costs])


if __name__ == "__main__":
    main()
