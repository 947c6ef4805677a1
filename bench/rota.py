"""`python -m bench.rota [FAULT ...]`: what is told of 300 public addresses when what lies before them breaks.

In a network of its own: two proxies, two zones, two hosts, a name server, targets, PostgreSQL, Redis, workers
and beat. One fault after another is made, waited for until a channel was told, and mended. Prints what was
told and after how long, and what asking costs. Needs root on Debian; 40 minutes for all faults.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from bench.check_cost import ROOT, Scene, megabytes, wait_for
from bench.processes import cpu_seconds
from bench.proxies import LIFE, NOBODY, PLACES, ZONES, Authority, Names, Proxy, Site, proxies
from bench.results import write
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


@dataclass
class Trial:
    """All that can be broken."""

    sites: list[Site]
    proxies: list[Proxy]
    names: Names
    good: Authority
    strange: Authority = field(default_factory=lambda: Authority("Nobody's Authority"))

    def upstreams(self, *, lost: set[str]) -> None:
        """Where the proxies lead: nowhere for the names that are lost."""
        for proxy in self.proxies:
            proxy.upstreams = {
                site.name: NOBODY if site.name in lost else site.upstream for site in proxy.sites
            }
            proxy.reload()

    def certify(self, zone: str, by: Authority, days: float = LIFE) -> None:
        """The same certificate of a zone at all proxies."""
        first, *others = self.proxies
        first.certify(zone, by, days)
        for proxy in others:
            proxy.copy_of(first, zone)
        for proxy in self.proxies:
            proxy.reload()


Change = Callable[[Trial], None]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, how it is mended, and what there should be messages of."""

    name: str
    breaks: Change
    mends: Change
    wanted: int = 1


def _of_proxy(number: int, change: Callable[[Proxy], None]) -> Change:
    return lambda trial: change(trial.proxies[number])


def _certificates(by: Callable[[Trial], Authority], *names: str) -> Change:
    def change(trial: Trial) -> None:
        for zone in ZONES:
            trial.proxies[-1].certify(zone, by(trial), LIFE, names)
        trial.proxies[-1].reload()

    return change


def _loops(proxy: Proxy, names: set[str]) -> None:
    proxy.loops = names
    proxy.reload()


def _four(trial: Trial) -> None:
    """Four customers, each with a trouble of his own."""
    first, second, third, fourth = (trial.sites[number] for number in (7, 33, 158, 222))
    trial.upstreams(lost={first.name})
    [proxy] = [proxy for proxy in trial.proxies if proxy.place == second.place]
    _loops(proxy, {second.name})
    trial.names.say(
        gone=[third.name],
        names={**trial.names.known["names"], fourth.name: "192.168.7.7"},  # type: ignore[dict-item]
    )


def _four_mended(trial: Trial) -> None:
    trial.upstreams(lost=set())
    for proxy in trial.proxies:
        _loops(proxy, set())
    trial.names.say()


def _stopped_all(trial: Trial) -> None:
    for proxy in trial.proxies:
        proxy.stop()


def _started_all(trial: Trial) -> None:
    for proxy in trial.proxies:
        proxy.start()


FAULTS = (
    Fault("four customers, each by himself", _four, _four_mended, 4),
    Fault(
        "certificate of a zone expired",
        lambda trial: trial.certify(ZONES[0], trial.good, -1),
        lambda trial: trial.certify(ZONES[0], trial.good),
    ),
    Fault(
        "certificates of another name at a proxy",
        _certificates(lambda trial: trial.good, "elsewhere.example"),
        _certificates(lambda trial: trial.good),
    ),
    Fault(
        "certificates of an unknown authority at a proxy",
        _certificates(lambda trial: trial.strange),
        _certificates(lambda trial: trial.good),
    ),
    Fault(
        "redirect loop at a proxy",
        _of_proxy(-1, lambda proxy: _loops(proxy, {site.name for site in proxy.sites})),
        _of_proxy(-1, lambda proxy: _loops(proxy, set())),
    ),
    Fault("zone gone", lambda trial: trial.names.say(gone=[ZONES[1]]), lambda trial: trial.names.say()),
    Fault(
        "zone's name servers away",
        lambda trial: trial.names.say(away=[ZONES[0]]),
        lambda trial: trial.names.say(),
    ),
    Fault("proxy stopped", _of_proxy(0, Proxy.stop), _of_proxy(0, Proxy.start)),
    Fault(
        "proxy hangs",
        _of_proxy(-1, lambda proxy: proxy.signal(signal.SIGSTOP)),
        _of_proxy(-1, lambda proxy: proxy.signal(signal.SIGCONT)),
    ),
    Fault(
        "way to one host gone",
        lambda trial: trial.upstreams(lost={site.name for site in trial.sites if site.host == 0}),
        lambda trial: trial.upstreams(lost=set()),
    ),
    Fault(
        "certificate ends in 10 days",
        lambda trial: trial.certify(ZONES[1], trial.good, 10),
        lambda trial: trial.certify(ZONES[1], trial.good),
    ),
    Fault("all proxies stopped", _stopped_all, _started_all),
    Fault(
        "our name server silent", lambda trial: trial.names.say(silent=True), lambda trial: trial.names.say()
    ),
)


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
