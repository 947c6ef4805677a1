"""`python -m bench.rota [FAULT ...]`: what is told of 300 public addresses when what lies before them breaks.

In a network of its own: two proxies, two zones, two hosts, a name server, targets, PostgreSQL, Redis, workers
and beat. One fault after another is made, waited for until a channel was told, and mended. Prints what was
told and after how long, and what asking costs. Needs root on Debian; 40 minutes for all faults.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from bench.check_cost import ROOT, Scene, megabytes, wait_for
from bench.processes import cpu_seconds
from bench.proxies import PLACES, ZONES, Authority, Names, Site, proxies
from bench.results import write
from bench.rota_faults import FAULTS, Fault, Trial
from dev.servers import postgres, redis_server
from tests.receiver import Receiver

COUNT, HOSTS = 300, 2
EVERY = 10  # seconds, DOCKMGR_OUTSIDE_INTERVAL
SETTLES = 25  # seconds in which everybody is asked and judged twice
PATIENCE = 300
INSIDE = "DOCKMGR_BENCH_ROTA"
_APART = ("--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_NETWORK = """
ip link set lo up
for place in {places}; do ip addr add $place/32 dev lo; done
mount -t tmpfs none /mnt
echo nameserver 127.0.0.1 > /mnt/resolv.conf
mount --bind /mnt/resolv.conf /etc/resolv.conf
exec "$@"
"""


@dataclass(frozen=True)
class Told:
    """A fault as a channel heard of it; seconds from when it was made, and from when it was mended."""

    fault: str
    began: list[str]
    ended: list[str]
    until_told: float
    until_resolved: float
    operations: int


def sites(count: int, ports: list[int], places: Sequence[str], zones: Sequence[str]) -> list[Site]:
    """Two of three customers at the first proxy, every second one in the first zone, half on each host."""
    return [
        Site(
            name=f"c{number}.{zones[number % 2 % len(zones)]}",
            place=places[0] if number % 3 else places[-1],
            upstream=f"127.0.0.1:{port}",
            host=number // (count // HOSTS),
        )
        for number, port in enumerate(ports)
    ]


def words_of(message: dict[str, Any]) -> str:
    said = (message["title"], message["message"], message["next_step"])
    return f"{message['kind']} {message['level']}: {' | '.join(said)}"


def heard_by(receiver: Receiver) -> list[dict[str, Any]]:
    """What a channel was told, with each message of a digest."""
    return [each for message in receiver.accepted for each in message.get("messages") or [message]]


def tried(fault: Fault, trial: Trial, receiver: Receiver) -> Told:
    """Make the fault, hear what is told, mend it, and hear that it is over."""
    from bench import database

    heard, made = len(heard_by(receiver)), time.monotonic()
    fault.breaks(trial)
    told = _wait(lambda: len(heard_by(receiver)) - heard >= fault.wanted)
    time.sleep(SETTLES)
    began = heard_by(receiver)[heard:]
    heard, mended = len(heard_by(receiver)), time.monotonic()
    fault.mends(trial)
    over = _wait(lambda: len(heard_by(receiver)) - heard >= fault.wanted and not database.open_incidents())
    time.sleep(SETTLES)
    return Told(
        fault.name, [words_of(row) for row in began], [words_of(row) for row in heard_by(receiver)[heard:]],
        told - made, over - mended, database.operations(),
    )  # fmt: skip


def _wait(true: Callable[[], bool]) -> float:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not true():
        time.sleep(0.2)
    return time.monotonic()


def show(rows: Sequence[Told]) -> None:
    table = Table(title=f"{COUNT} public addresses", show_lines=True)
    for column in ("fault", "told", "s", "resolved", "s", "operations"):
        table.add_column(column, justify="right" if column == "s" else "left")
    for row in rows:
        table.add_row(
            row.fault, "\n".join(row.began), f"{row.until_told:.0f}", "\n".join(row.ended),
            f"{row.until_resolved:.0f}", str(row.operations),
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 200).print(table)


WORKER = "-m celery -A dockmgr worker -P threads -c 50 --without-gossip --without-mingle"


@contextmanager
def running(scene: Scene, **environ: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two workers and beat, as they are deployed."""
    with ExitStack() as stack:
        queues = ("health", "operations,notifications,celery")
        found = [
            stack.enter_context(
                scene.process(*WORKER.split(), "-Q", queue, "-n", f"w{number}@bench", **environ)
            )
            for number, queue in enumerate(queues)
        ]
        stack.enter_context(scene.process("-m", "celery", "-A", "dockmgr", "beat", "--pidfile=", **environ))
        yield found


def spent(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> float:
    before = sum(cpu_seconds(process.pid) for process in processes)
    time.sleep(seconds)
    return sum(cpu_seconds(process.pid) for process in processes) - before


def run(wanted: Sequence[str], folder: Path, single: bool) -> tuple[list[Told], dict[str, float]]:
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        authority = Authority("Trial's Authority")
        (folder / "authority.pem").write_bytes(authority.certificate)
        os.environ.update(
            DOCKMGR_HOME=str(folder / "home"),
            DOCKMGR_STATE_FILE=str(folder / "home" / "state.json"),
            DOCKMGR_BROKER_URL=stack.enter_context(redis_server(folder)),
            DATABASE_URL=stack.enter_context(postgres(folder, {})),
            DOCKMGR_OUTSIDE_INTERVAL=str(EVERY), DOCKMGR_REOPEN_WITHIN="1", DOCKMGR_ORPHANS_INTERVAL="0",
            DOCKMGR_DISK_INTERVAL="0", DOCKMGR_USAGE_INTERVAL="0", DOCKMGR_EVENTS="0",
            BENCH_PER_HOST=str(COUNT // HOSTS), SSL_CERT_FILE=str(folder / "authority.pem"),
        )  # fmt: skip
        scene = Scene(folder, COUNT, dict(os.environ))
        stack.enter_context(scene.process("-m", "bench.targets", str(COUNT), str(scene.ports_file)))
        wait_for(scene.ports_file.exists, 60, "Listening on all ports")
        listening = json.loads(scene.ports_file.read_text())
        layout = (PLACES[:1], ZONES[:1]) if single else (PLACES, ZONES)
        customers = sites(COUNT, listening["ports"], *layout)
        names = Names(folder / "names.json", {"names": {site.name: site.place for site in customers}})
        names.say()
        stack.enter_context(scene.process("-m", "bench.names", str(names.file)))
        behind = stack.enter_context(proxies(folder, customers, authority))
        from bench import database

        database.fill(listening["ports"], listening["engines"])
        database.give_names([site.name for site in customers], receiver.url())
        trial, found = Trial(customers, behind, names, authority), []
        with running(scene) as processes:
            wait_for(lambda: database.asked_from_outside() == (COUNT, COUNT), 120, "Asking everybody once")
            cost = {"with": spent(processes, 3 * EVERY)}
            cost |= {
                f"MB of worker {place}": megabytes(one.pid, "VmHWM") for place, one in enumerate(processes)
            }
            for fault in FAULTS:
                if not wanted or any(word in fault.name for word in wanted):
                    found.append(tried(fault, trial, receiver))
                    print(json.dumps(asdict(found[-1]), indent=1), flush=True)
            cost |= {
                f"MB after of worker {place}": megabytes(one.pid, "VmHWM")
                for place, one in enumerate(processes)
            }
        with running(scene, DOCKMGR_OUTSIDE_INTERVAL="0") as processes:
            time.sleep(3 * EVERY)
            cost["without"] = spent(processes, 3 * EVERY)
            cost |= {
                f"MB without of worker {place}": megabytes(one.pid, "VmHWM")
                for place, one in enumerate(processes)
            }
        cost["ms an address"] = (cost["with"] - cost["without"]) * 1000 / (3 * COUNT)
    return found, cost


def alone(words: Sequence[str]) -> NoReturn:
    """Begin again in a network of its own, which ends with whoever began."""
    script = _NETWORK.format(places=" ".join(PLACES))
    command = ["unshare", *_APART, "sh", "-c", script, "sh", sys.executable, "-m", "bench.rota", *words]
    os.execvpe("unshare", command, {**os.environ, INSIDE: "1"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rota", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="a word of a fault's name; all without")
    parser.add_argument("--single", action="store_true", help="one proxy and one zone for all")
    asked = parser.parse_args()
    if not all(any(word in fault.name for fault in FAULTS) for word in asked.faults):
        parser.error(f"The faults are: {', '.join(fault.name for fault in FAULTS)}.")
    if INSIDE not in os.environ:
        alone(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="dm-rota-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        rows, cost = run(asked.faults, folder, asked.single)
    show(rows)
    print(json.dumps(cost, indent=1))
    write("rota", [cost, *map(asdict, rows)])


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
