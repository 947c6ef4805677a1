"""`python -m bench [COUNT ...]`: what a check costs, beside other ways on the same targets in the same run.

For each COUNT (500, 2000) five rounds in which every way has its turn; prints medians and ratios, and writes
JSON and a picture of how they grow to bench/results/. With `--answers MS` each target takes MS milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.arguments import whole
from bench.check_cost import Cost, Scene, bare, looks, wait_for
from bench.check_cost import dockmgr as dockmgr_way
from bench.check_cost import obvious as obvious_way
from bench.growth import drawn
from bench.prometheus import is_installed, prometheus
from bench.results import write
from dev.servers import postgres, redis_server

COUNTS = (500, 2000)
ROUNDS = 5
MOST_OBVIOUS = 2000  # targets; beyond, the slow ways say nothing new and take an hour
# What else workers would do meanwhile.
BESIDE = ("LOOK_INTERVAL", "LIST_INTERVAL", "USAGE_INTERVAL", "EVENTS")
Way = Callable[[Scene], Cost]


def ways(count: int) -> list[Way]:
    """Each measures itself once; those of which one waits for minutes are left out where there are many."""
    few = count <= MOST_OBVIOUS
    own = [partial(dockmgr_way, rounds=1, way=way) for way in (("bulk", "stock") if few else ("bulk",))]
    others: list[Way] = [prometheus] if is_installed() else []
    return [bare, *own, looks, *others, *([partial(obvious_way, rounds=1)] if few else [])]


def run(counts: Sequence[int], rounds: int, answers: float) -> Iterator[tuple[int, list[Cost]]]:
    """The median of each way, for one number of targets after another."""
    with (
        tempfile.TemporaryDirectory(prefix="dockmgr-bench-") as name,
        redis_server(Path(name)) as broker,
        postgres(Path(name), {}) as database,
    ):
        folder = Path(name)
        os.environ.update(
            {f"DOCKMGR_{what}": "0" for what in BESIDE}, MALLOC_ARENA_MAX="2"
        )  # as in the image
        os.environ.update(
            DOCKMGR_HOME=str(folder / "home"),
            DOCKMGR_STATE_FILE=str(folder / "home" / "state.json"),
            DOCKMGR_BROKER_URL=broker,
            DATABASE_URL=database,
        )
        for count in counts:
            scene = Scene(folder, count, dict(os.environ))
            scene.ports_file.unlink(missing_ok=True)
            with scene.process("-m", "bench.targets", str(count), str(scene.ports_file), str(answers)):
                wait_for(scene.ports_file.exists, 60, "Listening on all ports")
                yield count, compare(scene, rounds)


def compare(scene: Scene, rounds: int) -> list[Cost]:
    """All ways, one after another, again and again: whatever else the machine does meets all of them."""
    from bench import database

    listening = json.loads(scene.ports_file.read_text())
    database.fill(listening["ports"], listening["engines"])
    scene.servers = {"PostgreSQL": database.postmaster(), "Redis": database.redis_server()}
    found = [[way(scene) for way in ways(scene.count)] for _ in range(rounds)]
    return [_median(costs) for costs in zip(*found, strict=True)]


def _median(costs: Sequence[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.cpu_seconds / cost.checks)[len(costs) // 2]


def show(costs: Sequence[Cost], targets: int) -> None:
    floor = costs[0].cpu_ms
    table = Table(title=f"Cost of a health check, {targets} targets, without the targets' own work")
    for column in ("way", "CPU ms a check", "times the bare prober", "checks a second", "MB"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for cost in costs:
        speed = f"{cost.per_second:.0f}" if cost.is_as_fast_as_it_can else "as asked"
        times = f"{cost.cpu_ms / floor:.1f}"
        table.add_row(cost.way, f"{cost.cpu_ms:.2f}", times, speed, f"{cost.memory:.0f}")
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def main(words: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(words)
    by_count = {}
    for count, costs in run(asked.counts, asked.rounds, asked.answers):
        show(costs, count)
        by_count[count] = costs
    rows = [{"targets": count, **cost.document()} for count, costs in by_count.items() for cost in costs]
    file = write("check-cost", rows)
    if len(by_count) > 1:
        picture = drawn(by_count)
        print(picture)
        file.with_suffix(".txt").write_text(picture)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("counts", nargs="*", type=whole(50), default=COUNTS, metavar="COUNT", help="targets")
    parser.add_argument("--rounds", type=whole(1), default=ROUNDS)
    parser.add_argument("--answers", type=whole(0), default=0, metavar="MS", help="how long a target takes")
    return parser


if __name__ == "__main__":
    main()
