"""How soon a fleet that is hurt is noticed, healed and told about, beside docker-autoheal's loop.

`python -m bench.repair [COUNT]` lets COUNT (20) instances be killed and as many wedged, and a quarter of
that removed and renamed, each on an instance of its own: a real engine, worker, beat, PostgreSQL and Redis,
and settings as shipped, but that so many faults at once are not to be called a wave. In half of them the
engine's stream of events is frozen or cut. Then the same instances are killed and wedged again, and
docker-autoheal's loop of five seconds (`bench.autoheal`) heals them; about what was removed and renamed it
does nothing. For it the image has a HEALTHCHECK (10 s, three in a row), which says during dockmgr's half that
all is well: who is wedged is found by looks alone. Both give a container 2 s to stop, which wedged ones take.

Seconds until noticed: the incident's first line, or the loop's list. Until healthy: an answer of 200. Until
told: the webhook's request. Writes each fault into bench/results/.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.arguments import count
from bench.autoheal import Autoheal
from bench.event_gate import EventGate, Stream
from bench.faults import Fault, Kind, Watcher, make, mixed, note_incidents, note_messages
from bench.results import write
from dev.demo_image import build
from dev.servers import docker_engine, postgres, redis_server
from instances.containers.spec import MANAGED_LABEL, container_name
from tests.real.fleet import QUICK, Fleet, a_fleet
from tests.real.live import wait_until
from tests.receiver import Receiver

TAG = "dockmgr-bench-repair:1"
US, LOOP = "dockmgr", "loop of 5 s"
COUNT, LEAST, OF_OTHERS = 20, 2, 4
PACE = {US: 1.5, LOOP: 2.5}  # seconds between two faults; the loop heals one after another
STOPS_WITHIN = 2
PATIENCE = 240.0  # seconds
SWITCH = "/asked"  # the file that makes the HEALTHCHECK ask
HEALTHCHECK = (
    "--interval=10s --timeout=5s --retries=3 CMD"
    f" [ ! -e {SWITCH} ] || wget -q -O /dev/null http://127.0.0.1:8080/healthz"
)
# Fewer on a larger fleet would be no wave, and are what this is about.
SHIPPED = {**dict.fromkeys(QUICK, ""), "DOCKMGR_WAVE_LEAST": "100000"}
LOOKED_SINCE = "SELECT 1 FROM instances_health HAVING min(checked_at) > to_timestamp({})"


def dealt(kills: int) -> list[Fault]:
    """Each fault with an instance of its own: half of every kind while the stream is heard."""
    others = max(1, kills // OF_OTHERS)
    numbers = {Kind.KILLED: kills, Kind.WEDGED: kills, Kind.REMOVED: others, Kind.RENAMED: others}
    found: list[Fault] = []
    for kind, number in numbers.items():
        heard = (number + 1) // 2
        frozen = (number - heard + 1) // 2
        parts = {Stream.HEARD: heard, Stream.FROZEN: frozen, Stream.CUT: number - heard - frozen}
        for stream, part in parts.items():
            found += [Fault(US, kind, stream, f"c{len(found) + n}") for n in range(part)]
    return found


@dataclass
class Scene:
    """A fleet that runs, the way to its engine, who listens, and who sees what becomes of the hurt."""

    fleet: Fleet
    gate: EventGate
    engine_url: str
    receiver: Receiver
    watcher: Watcher

    def hurt(self, faults: Sequence[Fault]) -> None:
        for fault in mixed([[f for f in faults if f.kind is kind] for kind in Kind]):
            self.watcher.hurts(fault)
            make(self.fleet, fault)
            time.sleep(PACE[fault.healer])

    def noted(self, faults: Sequence[Fault]) -> Sequence[Fault]:
        """The faults with all that is known of them by now."""
        if faults[0].healer == US:
            note_incidents(self.fleet, faults)
        note_messages(self.fleet, faults, list(self.receiver.got))
        return faults


def waited(done: Callable[[], bool]) -> None:
    """Until it is so, or for as long as patience lasts: what never comes is told in the table."""
    try:
        wait_until(done, PATIENCE)
    except AssertionError:
        print("Not all of it came in time.", file=sys.stderr)


def is_healed(fault: Fault) -> bool:
    return fault.healthy is not None or fault.kind is Kind.RENAMED


def healed_by_dockmgr(scene: Scene, faults: Sequence[Fault]) -> None:
    """One state of the stream after another, and again for the wedged, whose restarts keep others waiting."""
    begun = time.time()
    with scene.fleet.worker(), scene.fleet.beat():
        wait_until(lambda: bool(scene.fleet.sql(LOOKED_SINCE.format(begun))))
        for stream in Stream:
            scene.gate.turn(Stream.HEARD)
            wait_until(lambda: scene.gate.is_followed)
            scene.gate.turn(stream)
            quick = [f for f in faults if f.stream is stream and f.kind is not Kind.WEDGED]
            scene.hurt(quick)
            waited(lambda quick=quick: all(f.noticed and is_healed(f) for f in scene.noted(quick)))  # type: ignore[misc]
        for stream in Stream:
            scene.gate.turn(stream)
            scene.hurt([f for f in faults if f.stream is stream and f.kind is Kind.WEDGED])
        waited(lambda: all(f.noticed and f.told and is_healed(f) for f in scene.noted(faults)))


def healed_by_the_loop(scene: Scene, before: Sequence[Fault]) -> list[Fault]:
    """The same instances hurt again in the ways that it can see, while dockmgr is not there."""
    faults = [
        Fault(LOOP, fault.kind, Stream.HEARD, fault.name)
        for fault in before
        if fault.kind in (Kind.KILLED, Kind.WEDGED)
    ]
    for container in scene.fleet.docker.containers.list():
        container.exec_run(["/bin/sh", "-c", f">{SWITCH}"])
    label, webhook = f"{MANAGED_LABEL}=true", f"http://127.0.0.1:{scene.receiver.port}/loop"
    with Autoheal(scene.engine_url, label, webhook, STOPS_WITHIN).running() as loop:
        scene.hurt(faults)
        waited(lambda: all(f.told and is_healed(f) for f in scene.noted(faults)))
    for fault in faults:
        moments = loop.noticed.get(container_name(scene.fleet.customer(fault.name)), [])
        fault.noticed = next((at for at in moments if at > fault.at), None)
    return faults


def ports(fleet: Fleet) -> dict[str, int]:
    rows = fleet.sql(
        "SELECT customer_id, number FROM instances_port p JOIN instances_instance i ON i.id = p.instance_id"
    )
    return {str(customer).removeprefix(f"{fleet.prefix}-"): int(number) for customer, number in rows}


def run(folder: Path, kills: int) -> list[Fault]:
    folder.chmod(0o755)
    with ExitStack() as held:
        engine = held.enter_context(docker_engine(folder, {}))
        broker = held.enter_context(redis_server(folder))
        database = held.enter_context(postgres(folder, {}))
        receiver = held.enter_context(Receiver())
        gate = held.enter_context(EventGate(engine.url, folder / "gate.sock").running())
        build(engine.url, TAG, environment={"BOOT_SECONDS": "1"}, healthcheck=HEALTHCHECK)
        plan = {"memory": "32m", "cpus": 0.2, "start_grace": 30, "stop_timeout": STOPS_WITHIN}
        fleet = held.enter_context(
            a_fleet(folder / "home", gate.url, broker, TAG, database_url=database, environ=SHIPPED, **plan)
        )
        channel = {"name": "ops", "url": receiver.url(), "min_level": "info"}
        fleet.run("apply", "-", stdin=json.dumps({"channels": [channel]})).check_returncode()
        faults = dealt(kills)
        fleet.provision_all(*(fault.name for fault in faults))
        watcher = held.enter_context(Watcher(fleet, engine.url, ports(fleet)).running())
        scene = Scene(fleet, gate, engine.url, receiver, watcher)
        healed_by_dockmgr(scene, faults)
        return [*faults, *healed_by_the_loop(scene, faults)]


def in_words(faults: Sequence[Fault], what: str) -> str:
    """Median and worst, and how many it never came for."""
    seconds = [moment - f.at for f in faults if (moment := getattr(f, what)) is not None]
    if not seconds:
        return "-"
    lacking = f" ({len(faults) - len(seconds)} never)" if len(seconds) < len(faults) else ""
    return f"{statistics.median(seconds):.1f} / {max(seconds):.1f}{lacking}"


def show(faults: Sequence[Fault]) -> None:
    table = Table(title="Seconds after the fault, median / worst")
    for column in ("fault", "healed by", "events", "times", "noticed", "healthy", "told"):
        table.add_column(column, justify="left" if column in ("fault", "healed by", "events") else "right")
    for kind in Kind:
        for healer in (US, LOOP):
            for stream in Stream:
                rows = [f for f in faults if (f.kind, f.healer, f.stream) == (kind, healer, stream)]
                if rows:
                    heard = stream.value if healer == US else ""
                    cells = (in_words(rows, what) for what in ("noticed", "healthy", "told"))
                    table.add_row(kind.value, healer, heard, str(len(rows)), *cells)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def main() -> None:
    kills, before = count(COUNT, LEAST), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="dm-heal-") as name:
        faults = run(Path(name), kills)
    show(faults)
    print(f"Load of the machine before it {before:.1f}, at the faults", end=" ")
    print(f"{min(f.load for f in faults):.1f} to {max(f.load for f in faults):.1f}.")
    write("repair", [fault.document() for fault in faults])


if __name__ == "__main__":
    main()
