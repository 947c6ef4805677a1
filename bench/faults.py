"""Faults made to a fleet, and when each was noticed, healed and told, by clocks that are no side's own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, zip_longest
from typing import Any

import docker

from bench.event_gate import Stream
from instances.containers.spec import container_name
from tests.real.fleet import Fleet
from tests.real.live import get
from tests.receiver import Got

ASK_EVERY = 0.05  # seconds between questions to a container that has just been started
ASIDE = "-aside"
PROGRAMS = ("start.sh", "nc")  # what a container of the demo image runs


class Kind(StrEnum):
    """What is done to a container."""

    KILLED = "docker kill"
    WEDGED = "SIGSTOP of its processes"
    REMOVED = "docker rm -f"
    RENAMED = "docker rename"


@dataclass
class Fault:
    """One fault; moments as `time.time()` has them, None for what has not happened."""

    healer: str
    kind: Kind
    stream: Stream
    name: str
    at: float = 0.0
    load: float = 0.0
    noticed: float | None = None
    healthy: float | None = None
    told: float | None = None

    def document(self) -> dict[str, object]:
        """Seconds since the fault."""
        after = {
            what: round(moment - self.at, 2) if (moment := getattr(self, what)) else None
            for what in ("noticed", "healthy", "told")
        }
        return {
            "by": self.healer, "fault": self.kind.name.lower(), "stream": self.stream.value,
            **after, "load": round(self.load, 1),
        }  # fmt: skip


def mixed(groups: Iterable[Sequence[Fault]]) -> list[Fault]:
    """The faults of all groups in turn."""
    return [fault for fault in chain.from_iterable(zip_longest(*groups)) if fault]


def make(fleet: Fleet, fault: Fault) -> None:
    """Let it happen."""
    container = fleet.container(fault.name)
    pids = _pids(container) if fault.kind is Kind.WEDGED else []
    fault.at, fault.load = time.time(), os.getloadavg()[0]
    match fault.kind:
        case Kind.KILLED:
            container.kill()
        case Kind.WEDGED:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
        case Kind.REMOVED:
            container.remove(force=True)
        case Kind.RENAMED:
            container.rename(container.name + ASIDE)


def _pids(container: Any) -> list[int]:
    found = container.top()
    pid, command = found["Titles"].index("PID"), found["Titles"].index("CMD")
    return [int(row[pid]) for row in found["Processes"] if any(word in row[command] for word in PROGRAMS)]


class Watcher:
    """Follows the engine itself, and sees when whoever was hurt answers again after he was started."""

    def __init__(self, fleet: Fleet, engine_url: str, ports: dict[str, int]) -> None:
        self._client = docker.DockerClient(base_url=engine_url)
        self._ports = {container_name(fleet.customer(name)): port for name, port in ports.items()}
        self._names = {container_name(fleet.customer(name)): name for name in ports}
        self._hurt: dict[str, Fault] = {}

    def hurts(self, fault: Fault) -> None:
        """From now on it is waited for that this one answers."""
        self._hurt[fault.name] = fault

    @contextmanager
    def running(self) -> Iterator[Watcher]:
        stream = self._client.events(decode=True, filters={"type": "container", "event": "start"})
        thread = threading.Thread(target=self._follow, args=(stream,))
        thread.start()
        try:
            yield self
        finally:
            stream.close()
            thread.join()
            self._client.close()

    def _follow(self, stream: Any) -> None:
        for event in stream:
            name = str(event["Actor"]["Attributes"]["name"])
            fault = self._hurt.get(self._names.get(name, ""))
            if fault is not None and fault.healthy is None and event["timeNano"] / 1e9 > fault.at:
                threading.Thread(target=self._until_it_answers, args=(fault, self._ports[name])).start()

    def _until_it_answers(self, fault: Fault, port: int) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError, ValueError):
                if get(port, timeout=1)[0] == 200:
                    fault.healthy = time.time()
                    return
            time.sleep(ASK_EVERY)


def note_incidents(fleet: Fleet, faults: Sequence[Fault]) -> None:
    """Fill in when dockmgr wrote down first that something is wrong."""
    rows = fleet.sql(
        "SELECT i.customer_id, extract(epoch FROM e.at) FROM instances_incidentevent e"
        " JOIN instances_incident i ON i.id = e.incident_id"
        " WHERE e.kind = 'opened' AND i.kind IN ('instance', 'container') ORDER BY e.at"
    )
    for fault in faults:
        moments = [float(at) for customer, at in rows if customer == fleet.customer(fault.name)]
        fault.noticed = next((at for at in moments if at > fault.at), None)


def note_messages(fleet: Fleet, faults: Sequence[Fault], got: Sequence[Got]) -> None:
    """Fill in when a message came that is about each, by itself or among others."""
    about = [(message.at, set(_customers(message.document))) for message in got]
    for fault in faults:
        who = {fleet.customer(fault.name), container_name(fleet.customer(fault.name))}
        fault.told = next((at for at, customers in about if at > fault.at and who & customers), None)


def _customers(document: Any) -> Iterator[str]:
    for message in [document, *(document.get("messages") or [])]:
        yield str(message.get("customer_id") or message.get("container") or "")
