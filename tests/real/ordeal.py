"""Random faults over real instances: whatever happens for a while, all is well in the end."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery
from docker.errors import APIError, DockerException, NotFound
from requests import RequestException

from dev.servers import docker_engine, postgres
from instances.containers.spec import volume_name
from tests.real.faults import provisioned
from tests.real.fleet import Fleet, a_fleet, ended_well
from tests.real.ground import WORKERS, Broker, Ground
from tests.real.images import a_shelf
from tests.real.live import file_in, wait_until
from tests.real.shims import shim_and_programs
from tests.receiver import Receiver

REST = (0.5, 4.0)  # seconds between two faults
SETTLED_IN = 300.0  # seconds
LONGEST_OPERATION = 600.0  # seconds, with every server away now and then; its alarm comes after 1800
AT_ONCE = 8
AT_REST = {"healthy", "failed", "paused"}
ENDS = ("resolved", "summary", "recovered")  # the last of an incident that was never told
HOURS = (0, 7200, -7200, 30, 86400)  # how far a clock steps, in seconds
ENVIRON = {
    "DOCKMGR_RECHECK_INTERVAL": "2", "DOCKMGR_PROBE_TIMEOUT": "3", "DOCKMGR_HOLD": "3",
    "DOCKMGR_SWEEP_INTERVAL": "10", "DOCKMGR_LEASE": "10", "DOCKMGR_CRITICAL_AFTER": "60",
}  # fmt: skip


class Ordeal:
    """A fleet of customers with marked data, and what befalls them."""

    def __init__(self, ground: Ground, names: list[str], seed: int) -> None:
        self.ground, self.fleet, self.names = ground, ground.fleet, names
        self.lost: set[str] = set()
        self.happened: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._held: list[tuple[float, int]] = []

    # --- what can happen -------------------------------------------------------------------

    def faults(self) -> dict[Callable[[], object], int]:
        """Each with how often it comes, beside the others."""
        return {
            self.container_dies: 6, self.container_goes: 4, self.container_gets_another_name: 2,
            self.somebody_prunes: 3, self.data_goes: 1, self.customer_fails: 6, self.shim_stops: 2,
            self.process_dies: 4, self.engine_crashes: 1, self.engine_restarts: 1,
            self.database_crashes: 1, self.broker_forgets: 1, self.clock_steps: 2,
            self.somebody_updates: 5, self.somebody_restarts: 3, self.somebody_pauses: 2,
        }  # fmt: skip

    def go_on_for(self, seconds: float) -> None:
        """Let faults happen, one after the other, and see meanwhile that nothing writes beside another."""
        until, weights = time.monotonic() + seconds, self.faults()
        while time.monotonic() < until:
            [fault] = self._random.choices(list(weights), list(weights.values()))
            self.happened[getattr(fault, "__name__", "")] += 1
            with suppress(NotFound, APIError, DockerException, RequestException, OSError):
                fault()
            self._let_go()
            self.nobody_ended_by_himself()
            self.each_volume_has_one_writer()
            time.sleep(self._random.uniform(*REST))

    def _one(self) -> str:
        return self._random.choice(self.names)

    def container_dies(self) -> None:
        self.fleet.container(self._one()).kill()

    def container_goes(self) -> None:
        self.fleet.container(self._one()).remove(force=True)

    def container_gets_another_name(self) -> None:
        container = self.fleet.container(self._one())
        container.rename(f"c0ffee_{container.name}")

    def somebody_prunes(self) -> None:
        self.fleet.docker.containers.prune()
        self.fleet.docker.images.prune({"dangling": False})

    def data_goes(self) -> None:
        """Never from under a running container: engines refuse that."""
        if len(self.lost) >= len(self.names) // 6:
            return
        name = self._one()
        for container in self._all_of(name):
            container.remove(force=True)
        self.fleet.docker.volumes.get(volume_name(self.fleet.customer(name))).remove()
        self.lost.add(name)

    def customer_fails(self) -> None:
        with suppress(KeyError, ValueError):  # what does not run has no port
            self.fleet.switch(self._one(), self._random.choice(("503", "hang", "notok", "exit", "starting")))

    def shim_stops(self) -> None:
        """A container its engine can do nothing with, for a while."""
        pids = shim_and_programs(self.fleet.container(self._one()))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            self._held.append((time.monotonic() + self._random.uniform(5, 40), pid))

    def let_all_go(self) -> None:
        """An engine that waits for a program that was stopped would never end."""
        self._let_go(all_of_them=True)

    def _let_go(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        for until, pid in list(self._held):
            if all_of_them or until <= now:
                self._held.remove((until, pid))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def process_dies(self) -> None:
        name = self._random.choice(list(self.ground.running))
        process = self.ground.running[name]
        process.kill()
        process.wait()
        self.ground.start_process(name)

    def engine_crashes(self) -> None:
        self.let_all_go()
        self.ground.engine.kill()
        time.sleep(self._random.uniform(0, 20))
        self.ground.engine.start()

    def engine_restarts(self) -> None:
        self.let_all_go()
        self.ground.engine.stop()
        self.ground.engine.start()

    def database_crashes(self) -> None:
        self.ground.crash_database()

    def broker_forgets(self) -> None:
        self.ground.broker.stop()
        time.sleep(self._random.uniform(0, 10))
        self.ground.broker.start()

    def clock_steps(self) -> None:
        self.ground.set_clock(self._random.choice(HOURS))

    def somebody_updates(self) -> None:
        self._order("update", image=self._random.choice(list(self.ground.images)))

    def somebody_restarts(self) -> None:
        self._order("restart")

    def somebody_pauses(self) -> None:
        """And resumes a moment later, unless something is in the way."""
        who = ("--customer-id", self.fleet.customer(self._one()))
        self.fleet.run("pause", *who)
        self._order("restart")
        self.fleet.run("resume", *who)

    def _order(self, verb: str, **words: Any) -> None:
        with self.fleet.stranger() as app:
            self._send(app, verb, customer_id=self.fleet.customer(self._one()), **words)

    def _send(self, app: Celery, verb: str, **words: Any) -> None:
        app.send_task(f"dockmgr.{verb}", kwargs={**words, "requested_by": "ordeal", "reason": "to see"})

    # --- what must hold --------------------------------------------------------------------

    def nobody_ended_by_himself(self) -> None:
        """Whatever is away, workers and beat wait for it."""
        ended = {name: code for name, code in self.ground.exit_codes().items() if code is not None}
        assert ended == {}, (ended, [self.ground.last_lines(name) for name in ended])

    def each_volume_has_one_writer(self) -> None:
        writers: defaultdict[str, list[str]] = defaultdict(list)
        try:
            running = self.fleet.docker.api.containers()
        except (DockerException, RequestException):
            return
        for container in running:
            for mount in container["Mounts"]:
                writers[mount.get("Name", "")].append(container["Names"][0])
        assert [who for who in writers.values() if len(who) > 1] == []

    def all_comes_to_rest(self) -> None:
        """Nothing is broken any more; whom dockmgr gave up with reason, a person restarts."""
        self.let_all_go()
        self.ground.set_clock(0)
        self._wait_until_healthy_or_given_up()
        given_up = [name for name, status in self.fleet.health().items() if status == "failed"]
        for name in given_up:
            [(used, reason)] = self.fleet.sql(
                "SELECT restarts_used, reason FROM instances_health h JOIN instances_instance i"
                f" ON i.id = h.instance_id WHERE customer_id = '{self.fleet.customer(name)}'"
            )
            assert used == 3 or reason in ("data_missing", "image_missing"), (name, used, reason)
            assert (reason == "data_missing") is (name in self.lost), (name, reason)
            anew = ("--with-empty-data",) if name in self.lost else ()
            ended_well(self.fleet.run("restart", "--customer-id", self.fleet.customer(name), *anew))
        for name in self.names:
            self.fleet.run("resume", "--customer-id", self.fleet.customer(name))
        wait_until(lambda: set(self.fleet.health().values()) == {"healthy"}, SETTLED_IN)

    def _wait_until_healthy_or_given_up(self) -> None:
        try:
            wait_until(self._is_at_rest, SETTLED_IN)
        except AssertionError:
            raise AssertionError(self._what_is_open()) from None

    def _is_at_rest(self) -> bool:
        try:
            return self.fleet.unfinished() == 0 and set(self.fleet.health().values()) <= AT_REST
        except psycopg.Error:
            return False

    def _what_is_open(self) -> str:
        health = self.fleet.sql(
            "SELECT customer_id, status, reason, error, failures, restarts_used, next_check_at, now()"
            " FROM instances_health h JOIN instances_instance i ON i.id = h.instance_id"
            " WHERE status <> 'healthy'"
        )
        open_ones = self.fleet.sql(
            "SELECT customer_id, kind, status, tries, steps, error, lease_owner, lease_expires_at"
            " FROM instances_operation WHERE finished_at IS NULL"
        )
        holders = self.ground.what_threads_do() if open_ones else ""
        return "\n".join(map(str, (dict(self.happened), *health, *open_ones, holders)))

    def all_is_well(self) -> None:
        fleet = self.fleet
        states = {name: [c.status for c in self._all_of(name)] for name in self.names}
        odd = {name: them for name, them in states.items() if them != ["running"]}
        assert odd == {}, (odd, self.happened, [fleet.operations(name) for name in odd])
        recorded = fleet.sql("SELECT customer_id, container_id FROM instances_instance")
        there = {fleet.customer(name): self._all_of(name)[0].id for name in self.names}
        assert dict(recorded) == there, (recorded, there)
        kept = [name for name in self.names if name not in self.lost]
        marks = {name: file_in(self._all_of(name)[0], "/data/mark").strip() for name in kept}
        assert all(name == mark for name, mark in marks.items()), marks
        run = {self._all_of(name)[0].attrs["Image"] for name in self.names}
        assert run <= set(self.ground.images.values()), run
        self.operations_ended_in_time()
        self.each_outage_was_told_once()

    def operations_ended_in_time(self) -> None:
        took = self.fleet.sql(
            "SELECT kind, customer_id, extract(epoch FROM finished_at - created_at)"
            " FROM instances_operation ORDER BY 3 DESC LIMIT 1"
        )
        assert took == [] or took[0][2] < LONGEST_OPERATION, took
        assert self.fleet.unfinished() == 0

    def each_outage_was_told_once(self) -> None:
        """No end without a beginning of its own: their times tell no order, as a process's clock stepped."""
        rows = self.fleet.sql(
            "SELECT channel_id, incident_id, kind, level, created_at, payload->>'message'"
            " FROM instances_notification WHERE kind NOT IN ('reminder', 'digest') ORDER BY created_at"
        )
        told: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
        for channel, incident, *what in rows:
            told[channel, incident].append(what)
        for which, messages in told.items():
            kinds = Counter(what[0] for what in messages)
            begun = sum(number for kind, number in kinds.items() if kind not in ENDS)
            assert kinds["resolved"] + kinds["summary"] <= begun, (which, messages)
            assert kinds["opened"] <= sum(kinds[end] for end in ENDS) + 1, (which, messages)

    def _all_of(self, name: str) -> list[Any]:
        """Every container that mounts the customer's data."""
        volume = volume_name(self.fleet.customer(name))
        return list(self.fleet.docker.containers.list(all=True, filters={"volume": volume}))


def batched(names: list[str], size: int) -> list[list[str]]:
    return [names[at : at + size] for at in range(0, len(names), size)]


def mark(fleet: Fleet, name: str) -> None:
    fleet.inside(name, f"echo {name} >/data/mark")


@contextmanager
def an_ordeal(folder: Path, customers: int, seed: int) -> Iterator[Ordeal]:
    """A provisioned fleet on servers of its own, with workers, beat and a channel."""
    with ExitStack() as stack:
        engine = stack.enter_context(docker_engine(folder, {}))
        shelf = stack.enter_context(a_shelf(folder, engine.url))
        database = stack.enter_context(postgres(folder, {}))
        short = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dm-")))
        broker = Broker(folder, short / "redis.sock")
        stack.callback(broker.stop)
        heard = stack.enter_context(Receiver())
        refs = [shelf.push("1"), shelf.push("2", BOOT_SECONDS="2")]
        bad = shelf.push("bad", MODE="503")
        small = {"cpus": 0.1, "memory": "16m", "start_grace": 10, "stop_timeout": 3}
        fleet = stack.enter_context(
            a_fleet(
                folder / "home",
                engine.url,
                broker.url,
                refs[0],
                database_url=database,
                environ=ENVIRON,
                **small,
            )
        )
        listen(fleet, heard)
        names = [f"n{number:02}" for number in range(customers)]
        for some in batched(names, AT_ONCE):
            provisioned(fleet, some)
        for name in names:
            mark(fleet, name)
        images = {ref: str(fleet.docker.images.pull(ref).id) for ref in refs} | {bad: ""}
        ground = Ground(fleet, engine, broker, shelf, folder / "ahead", images)
        ground.set_clock(0)
        for process in (*WORKERS, "beat"):
            ground.start_process(process)
        stack.callback(ground.end_processes)
        ordeal = Ordeal(ground, names, seed)
        stack.callback(ordeal.let_all_go)
        yield ordeal


def listen(fleet: Fleet, heard: Receiver) -> None:
    channel = {"name": "ops", "url": heard.url(), "min_level": "info"}
    ended_well(fleet.run("apply", "-", stdin=f'{{"channels": [{channel!r}]}}'.replace("'", '"')))
