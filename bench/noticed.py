"""How soon trouble is noticed, mended and told, beside a loop that looks every five seconds.

`python -m bench.noticed [FILE]` takes about a quarter of an hour and makes engines, a broker, a database and
40 containers of its own. The same faults meet the same containers twice: dockmgr watches, then the loop
alone, which starts what has exited and restarts what its image's HEALTHCHECK calls unhealthy, in the manner
of docker-autoheal.
Half of the containers are on an engine whose event stream is cut, then frozen.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import io
import itertools
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import docker
from rich.console import Console
from rich.table import Table

from dev.demo_image import build
from dev.servers import EngineServer, docker_engine, postgres, redis_server
from tests.real.fleet import Fleet, a_fleet, ended_well
from tests.real.live import wait_until

INSTANCES = 40
EVERY, LOOP, LOOP_WATCHES = 4.0, 5.0, 150.0  # seconds: between faults of one engine, of the loop, per fault
TAG = "dockmgr-bench-noticed:1"
FAULTS = ("killed",) * 20 + ("wedged",) * 20 + ("removed",) * 5 + ("renamed",) * 5
AS_SHIPPED = {
    "DOCKMGR_RECHECK_INTERVAL": "30", "DOCKMGR_RESTART_BACKOFF": "20", "DOCKMGR_PROBE_TIMEOUT": "5",
    "DOCKMGR_SWEEP_INTERVAL": "900", "DOCKMGR_LEASE": "30", "DOCKMGR_EVENTS": "1",
    "DOCKMGR_LOOK_INTERVAL": "60", "DOCKMGR_LIST_INTERVAL": "30", "DOCKMGR_USAGE_INTERVAL": "60",
    "DOCKMGR_DISK_INTERVAL": "3600",
    # Many faults in few minutes are no wave here: each is a case of its own.
    "DOCKMGR_WAVE_PERCENT": "100", "DOCKMGR_WAVE_LEAST": "1000",
}  # fmt: skip
DOCKERFILE = """FROM {base}
HEALTHCHECK CMD ["/bin/wget", "-q", "-O", "-", "http://127.0.0.1:8080/healthz"]
"""


@dataclass
class Case:
    """One fault; times in seconds after it. None: it never came to that."""

    way: str
    fault: str
    events: str
    customer: str
    at: float = 0.0
    noticed: float | None = None
    healthy: float | None = None
    told: float | None = None


class EventsHose:
    """A way to an engine through which everything comes but events: they are `cut` or `frozen`."""

    def __init__(self, path: Path, engine: str) -> None:
        self.mode, self._engine = "cut", engine.removeprefix("unix://")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(64)
        self.url = f"unix://{path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._door.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._engine)
            frozen = threading.Event()
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._carry, args=(*ends, frozen), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, asks: bool, frozen: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and b"/events?" in data[:300]:
                    if self.mode == "cut":
                        break
                    frozen.set()
                sink.sendall(data)
                if frozen.is_set() and not asks:
                    threading.Event().wait(600)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Told(http.server.BaseHTTPRequestHandler):
    got: list[tuple[float, dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((time.time(), json.loads(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Trial:
    fleet: Fleet
    clients: dict[str, docker.DockerClient]
    hose: EventsHose
    cases: list[Case] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def container(self, host: str, name: str) -> Any:
        return self.clients[host].containers.get(f"dockmgr-{self.fleet.customer(name)}")


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wedge(container: Any) -> None:
    for process in container.top()["Processes"]:
        os.kill(int(process[1]), signal.SIGSTOP)


def strike(trial: Trial, case: Case, host: str, port: int) -> None:
    """Let one fault happen, and see from outside when the customer has his instance back."""
    container = trial.container(host, case.customer)
    case.at = time.time()
    if case.fault == "killed":
        container.kill()
    elif case.fault == "wedged":
        wedge(container)
    elif case.fault == "removed":
        container.remove(force=True)
    else:
        container.rename(f"{container.name}-elsewhere")
        return
    watch = threading.Thread(target=_until_back, args=(case, port), daemon=True)
    watch.start()
    trial.threads.append(watch)


def _until_back(case: Case, port: int) -> None:
    until = time.time() + (400 if case.way == "dockmgr" else LOOP_WATCHES)
    while time.time() < until:
        time.sleep(0.1)
        if answers(port):
            case.healthy = time.time() - case.at
            return


def run_faults(trial: Trial, way: str, cases: list[Case]) -> None:
    """All faults, on both engines at once; the second half with frozen events on one of them."""
    rows = trial.fleet.json("instances")
    ports = {row["customer_id"].removeprefix(f"{trial.fleet.prefix}-"): int(row["port"]) for row in rows}
    spread = [fault for _, fault in sorted(enumerate(FAULTS), key=lambda pair: pair[0] * 7 % len(FAULTS))]

    def on(host: str, faults: list[str]) -> None:
        prefix = f"{trial.fleet.prefix}-"
        here = [row["customer_id"].removeprefix(prefix) for row in rows if row["host"] == host]
        names = itertools.cycle(here)
        for number, fault in enumerate(faults):
            if host == "far":
                trial.hose.mode = "cut" if number < len(faults) // 2 else "frozen"
            kept = {case.customer for case in cases if case.fault in ("removed", "renamed")}
            name = next(name for name in names if name not in kept and answers(ports[name]))
            case = Case(way, fault, "heard" if host == "local" else trial.hose.mode, name)
            cases.append(case)
            strike(trial, case, host, ports[name])
            time.sleep(EVERY)

    sides = [threading.Thread(target=on, args=(h, spread[i::2])) for i, h in enumerate(trial.clients)]
    for side in sides:
        side.start()
    for side in sides:
        side.join()
    for watch in trial.threads:
        watch.join()
    trial.threads.clear()


def seen_by_dockmgr(trial: Trial, cases: list[Case]) -> None:
    """When it was noticed and told, from its records and from the receiver of its messages."""
    prefix = trial.fleet.prefix
    failed = trial.fleet.sql(
        "SELECT i.customer_id, extract(epoch FROM c.checked_at) FROM instances_healthcheck c"
        " JOIN instances_instance i ON i.id = c.instance_id WHERE c.outcome = 'fail' ORDER BY c.checked_at"
    )
    found = trial.fleet.sql(
        "SELECT customer_id, extract(epoch FROM opened_at) FROM instances_incident ORDER BY opened_at"
    )
    for case in cases:
        end = min([o.at for o in cases if o.customer == case.customer and o.at > case.at], default=1e12)
        name = f"{prefix}-{case.customer}"
        seen = [float(at) for who, at in (found if case.fault == "renamed" else failed) if who == name]
        told = [at for at, message in Told.got if message.get("customer_id") == name]
        told += [
            at for at, message in Told.got
            if any(each.get("customer_id") == name for each in message.get("messages", ()))
        ]  # fmt: skip
        case.noticed = next((at - case.at for at in seen if case.at <= at < end), None)
        case.told = next((at - case.at for at in sorted(told) if case.at <= at < end), None)


def loop(
    clients: dict[str, docker.DockerClient], cases: list[Case], over: threading.Event, prefix: str
) -> None:
    """The five-second loop."""
    while not over.is_set():
        for client in clients.values():
            for found in client.api.containers(all=True, filters={"label": "dockmgr.managed=true"}):
                bad = found["State"] in ("exited", "dead") or "(unhealthy)" in found["Status"]
                if not bad:
                    continue
                name = found["Names"][0].removeprefix(f"/dockmgr-{prefix}-")
                for case in cases:
                    if case.customer == name and case.noticed is None and case.at and case.healthy is None:
                        case.noticed = time.time() - case.at
                with suppress(docker.errors.APIError):
                    client.api.restart(found["Id"], timeout=1)
        over.wait(LOOP)


def summary(cases: list[Case]) -> list[dict[str, Any]]:
    rows = []
    for way in ("dockmgr", "loop of 5 s"):
        for fault in ("killed", "wedged", "removed", "renamed"):
            for events in ("heard", "cut", "frozen"):
                some = [c for c in cases if (c.way, c.fault, c.events) == (way, fault, events)]
                if some:
                    row: dict[str, Any] = {"way": way, "fault": fault, "events": events, "cases": len(some)}
                    for what in ("noticed", "healthy", "told"):
                        times = [t for c in some if (t := getattr(c, what)) is not None]
                        row[what] = {
                            "median": round(statistics.median(times), 1) if times else None,
                            "worst": round(max(times), 1) if times else None,
                            "never": len(some) - len(times),
                        }
                    rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Seconds after the fault: median / worst, and how often never")
    for column in ("way", "fault", "events", "cases", "noticed", "healthy", "told"):
        table.add_column(column)
    for row in rows:
        parts = [
            f"{part['median']} / {part['worst']}" + (f" ({part['never']} never)" if part["never"] else "")
            for part in (row["noticed"], row["healthy"], row["told"])
        ]
        table.add_row(row["way"], row["fault"], row["events"], str(row["cases"]), *parts)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def image_on(url: str) -> None:
    build(url, f"{TAG}-base")
    client = docker.DockerClient(base_url=url)
    client.images.build(fileobj=io.BytesIO(DOCKERFILE.format(base=f"{TAG}-base").encode()), tag=TAG, rm=True)
    client.close()


def an_engine(folder: Path, number: int) -> AbstractContextManager[EngineServer]:
    """One of several on this machine: with a key, and so an identity, of its own."""
    own_key = {"deprecated-key-path": str(folder / f"key-{number}.json")}
    return docker_engine(folder / f"engine-{number}", {}, settings=own_key)


@contextmanager
def stage(folder: Path) -> Iterator[Trial]:
    folder.chmod(0o755)
    with contextlib.ExitStack() as held:
        near, far = (held.enter_context(an_engine(folder, n)).url for n in (1, 2))
        broker = held.enter_context(redis_server(folder))
        database = held.enter_context(postgres(folder, {}))
        for url in (near, far):
            image_on(url)
        receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        hose = EventsHose(folder / "hose.sock", far)
        fleet = held.enter_context(
            a_fleet(
                folder / "home", near, broker, TAG, database_url=database, environ=AS_SHIPPED, start_grace=60
            )
        )
        more = {
            "hosts": [{"name": "far", "docker_url": hose.url, "first_port": 29000}],
            "channels": [
                {"name": "ops", "url": f"json://127.0.0.1:{receiver.server_port}/", "min_level": "info"}
            ],
        }
        ended_well(fleet.run("apply", "-", stdin=json.dumps(more)))
        fleet.provision_all(*(f"c{n}" for n in range(INSTANCES)))
        clients = {name: docker.DockerClient(base_url=url) for name, url in (("local", near), ("far", far))}
        yield Trial(fleet, clients, hose)
        _remove(clients["far"], fleet.prefix)


def _remove(client: docker.DockerClient, prefix: str) -> None:
    for container in client.containers.list(all=True, filters={"name": f"dockmgr-{prefix}-"}):
        container.remove(force=True)


def put_back(trial: Trial) -> None:
    """Containers that were renamed get their names again."""
    for client in trial.clients.values():
        for container in client.containers.list(all=True, filters={"name": "-elsewhere"}):
            with suppress(docker.errors.APIError):
                container.rename(str(container.name).removesuffix("-elsewhere"))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dm-bn-") as name, stage(Path(name)) as trial:
        with trial.fleet.worker():
            heard = "SELECT 1 FROM instances_hostwatch WHERE events_heard_at IS NOT NULL"
            wait_until(lambda: bool(trial.fleet.sql(heard)))
            cases: list[Case] = []
            run_faults(trial, "dockmgr", cases)
            time.sleep(45)  # the last messages are held half a minute
        seen_by_dockmgr(trial, cases)
        put_back(trial)
        over = threading.Event()
        others: list[Case] = []
        watcher = threading.Thread(target=loop, args=(trial.clients, others, over, trial.fleet.prefix))
        watcher.start()
        run_faults(trial, "loop of 5 s", others)
        over.set()
        watcher.join()
    rows = summary(cases + others)
    show(rows)
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else _result_file()
    file.write_text(json.dumps({"rows": rows, "cases": [asdict(c) for c in cases + others]}, indent=2) + "\n")
    print(f"written: {file}")


def _result_file() -> Path:
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    return results / f"noticed-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.json"


if __name__ == "__main__":
    main()
