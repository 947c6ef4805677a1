"""Sweeps through real workers that take checks in bulk: whatever ends or breaks, each is recorded once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery
from redis import Redis

from bench.targets import Engine, Healthy
from dev.servers import redis_server
from tasks.broker.connection import redis_at
from tests.real.commands import ROOT, Commands, Process
from tests.real.live import wait_until

pytestmark = pytest.mark.real
MANY, HANGING = 40, 5
A_HOST = MANY // 2
FILL = "from bench.database import fill; fill({ports}, {engines})"


class Answering(Healthy):
    """One of the instances: answers at once, or when it is told to."""

    def __init__(self, targets: Targets, number: int) -> None:
        self._targets, self._number = targets, number

    def data_received(self, data: bytes) -> None:
        if self._number < self._targets.hanging:
            self._targets.waiting.append(self)
        else:
            self.answer()

    def answer(self) -> None:
        super().data_received(b"")


class Listing(Engine):
    """The engine of one of the hosts, which may keep its list of containers to itself."""

    def __init__(self, targets: Targets, first: int) -> None:
        super().__init__(range(first, first + A_HOST))
        self._targets, self._is_last = targets, first == MANY - A_HOST

    def data_received(self, data: bytes) -> None:
        if b"/containers/json" in data and self._is_last and self._targets.last_host_is_slow:
            self._targets.asked_for_its_list = True
        else:
            super().data_received(data)


class Targets:
    """Instances and their engines, on a thread. The first `hanging` ones do not answer for now."""

    def __init__(self, number: int) -> None:
        self.hanging = 0
        self.last_host_is_slow = self.asked_for_its_list = False
        self.waiting: list[Answering] = []
        self._loop = asyncio.new_event_loop()
        self._ports = self._loop.run_until_complete(self._listen(number))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def _listen(self, number: int) -> list[int]:
        makers: list[Any] = [lambda n=n: Answering(self, n) for n in range(number)]
        servers = [
            await self._loop.create_server(maker, "127.0.0.1", 0)
            for maker in (*makers, *(lambda n=n: Listing(self, n) for n in range(0, number, A_HOST)))
        ]
        return [int(server.sockets[0].getsockname()[1]) for server in servers]

    @property
    def fill(self) -> str:
        return FILL.format(ports=self._ports[:MANY], engines=self._ports[MANY:])

    def answer(self) -> None:
        """Answer all who wait, and everybody from now on."""
        self.hanging = 0
        self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.answer()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Broker:
    """A Redis that can be started again, with what it held or without."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self.url = self._start()

    def _start(self) -> str:
        socket = self._folder / "redis.sock"
        return self._stack.enter_context(redis_server(self._folder, socket=socket, persist=True))

    @contextmanager
    def client(self) -> Iterator[Redis]:
        with closing(redis_at(self.url, 10)) as client:
            yield client

    def ask(self, *words: str) -> Any:
        with self.client() as client:
            asked: Any = client
            return asked.execute_command(*words)

    def restart(self) -> None:
        self._stack.close()
        self._start()

    def close(self) -> None:
        self._stack.close()


class Stage:
    """A fleet of targets, its servers, and the workers of its sweeps."""

    def __init__(self, home: Path, broker: Broker, database: str, targets: Targets) -> None:
        self.home, self.broker, self.database, self.targets = home, broker, database, targets
        self.sweeps = 0
        self.app = Celery("others", broker=broker.url)
        quiet = ("LOOK_INTERVAL", "LIST_INTERVAL", "USAGE_INTERVAL", "EVENTS")
        self.commands = Commands({
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DOCKMGR_HOME": str(home),
            "DOCKMGR_STATE_FILE": str(home / "state.json"), "DOCKMGR_BROKER_URL": broker.url,
            "DATABASE_URL": database, "DOCKMGR_PROBE_TIMEOUT": "120", "BENCH_PER_HOST": str(A_HOST),
            **{f"DOCKMGR_{name}": "0" for name in quiet},
        })  # fmt: skip
        done = self.commands.run("shell", "-c", targets.fill)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def worker(self, name: str) -> Iterator[Process]:
        quietly = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        words = ["-m", "celery", "-A", "dockmgr", "worker", "-Q", "health", "-n", f"{name}@test", *quietly]
        with (self.home / "workers.log").open("ab") as log, open(os.devnull, "rb") as nothing:
            process = self.commands.start(*words, streams=[nothing.fileno(), log.fileno(), log.fileno()])
            try:
                yield process
            except AssertionError:
                print((self.home / "workers.log").read_text())
                raise
            finally:
                process.kill()
                process.wait()

    def sweep(self, hanging: int) -> None:
        """Make a sweep in which so many do not answer, and have all others recorded."""
        self.begin_sweep(hanging, published=MANY)
        wait_until(lambda: self.in_hand() == hanging)

    def begin_sweep(self, hanging: int, published: int) -> None:
        """Begin one of which so many are published, and have all recorded but those that hang."""
        self.targets.hanging, already = hanging, self.recorded()
        self.app.send_task("dockmgr.sweep", kwargs={"requested_by": "test"}, queue="health")
        self.sweeps += 1
        wait_until(lambda: len(self.targets.waiting) == hanging)
        wait_until(lambda: self.recorded() == already + published - hanging)

    def is_complete(self) -> None:
        """Every sweep so far has every instance once, and all of them are well."""
        wait_until(
            lambda: (
                self.rows("SELECT count(*) FROM instances_sweep WHERE state = 'finished'") == [(self.sweeps,)]
            )
        )
        # Each check that is applied writes its instance's row, which counts how often it was written.
        assert self.rows("SELECT DISTINCT revision, status FROM instances_health") == [
            (self.sweeps, "healthy")
        ]
        assert self.rows("SELECT DISTINCT done, total FROM instances_sweep") == [(MANY, MANY)]

    def recorded(self) -> int:
        return int(self.rows("SELECT coalesce(sum(done), 0) FROM instances_sweep")[0][0])

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query.encode()).fetchall()

    def in_hand(self) -> int:
        return int(self.broker.ask("HLEN", "unacked"))

    def nothing_waits(self) -> bool:
        return self.in_hand() == 0 and self.broker.ask("LLEN", "health") == 0

    def a_sweep_is_silent(self) -> None:
        """For longer than any check takes."""
        self.rows("UPDATE instances_sweep SET progress_at = now() - interval '1 hour' RETURNING 1")

    def a_minute_passes(self) -> None:
        """For the messages that somebody has in hand."""
        with self.broker.client() as client:
            found: Any = client.zrange("unacked_index", 0, -1, withscores=True)
            client.zadd("unacked_index", {tag: score - 61 for tag, score in found})


@pytest.fixture
def stage(tmp_path: Path, database: str) -> Iterator[Stage]:
    with closing(Targets(MANY)) as targets, closing(Broker(tmp_path)) as broker:
        made = Stage(tmp_path, broker, database, targets)
        with closing(made.commands):
            yield made


def test_each_check_is_recorded_once_whatever_ends_or_breaks(stage: Stage) -> None:
    with stage.worker("killed") as worker:
        stage.sweep(hanging=HANGING)  # who hangs delays nobody, and only what is recorded is acknowledged
        worker.kill()
    stage.targets.answer()
    stage.a_minute_passes()
    with stage.worker("next") as worker:
        stage.is_complete()
        wait_until(stage.nothing_waits)
        for trouble in (its_line_is_cut, the_broker_restarts, the_broker_loses_all, the_broker_is_set_back):
            trouble(stage)
            stage.is_complete()
        the_broker_takes_no_writes(stage)
        stage.sweep(hanging=HANGING)
        os.kill(worker.pid, signal.SIGTERM)
        stage.targets.answer()
        assert worker.wait(180) == 0
    stage.is_complete()
    assert stage.nothing_waits()
    with stage.worker("cold") as worker:
        stage.sweep(hanging=HANGING)
        os.kill(worker.pid, signal.SIGQUIT)
        worker.wait(180)
    assert stage.in_hand() == HANGING
    stage.targets.answer()
    stage.a_minute_passes()
    with stage.worker("last") as worker:
        stage.is_complete()
        wait_until(stage.nothing_waits)
        its_worker_dies_while_it_is_published(stage, worker)
    with stage.worker("heir") as worker:
        who_carries_it_on_dies_too(stage, worker)
    with stage.worker("another"):
        another_one_carries_it_on(stage)
        stage.sweep(hanging=0)
        stage.is_complete()
    assert "Traceback" not in (stage.home / "workers.log").read_text()


def its_line_is_cut(stage: Stage) -> None:
    stage.sweep(hanging=HANGING)
    stage.broker.ask("CLIENT", "KILL", "TYPE", "normal")
    stage.targets.answer()
    wait_until(stage.nothing_waits)


def the_broker_restarts(stage: Stage) -> None:
    stage.sweep(hanging=HANGING)
    stage.broker.restart()
    stage.targets.answer()
    stage.is_complete()
    stage.sweep(hanging=0)  # what could not be acknowledged is, with what comes next
    wait_until(stage.nothing_waits)


def the_broker_loses_all(stage: Stage) -> None:
    stage.sweep(hanging=HANGING)
    stage.broker.ask("FLUSHALL")
    stage.targets.answer()


def the_broker_is_set_back(stage: Stage) -> None:
    """To when nobody had taken the messages of a sweep that is over."""
    stage.sweep(hanging=MANY)
    with stage.broker.client() as client:
        found: Any = client.hvals("unacked")
        messages = [json.dumps(json.loads(row)[0]) for row in found]
        assert len(messages) == MANY
        stage.targets.answer()
        stage.is_complete()
        client.lpush("health", *messages)
    wait_until(stage.nothing_waits)


def the_broker_takes_no_writes(stage: Stage) -> None:
    stage.sweep(hanging=HANGING)
    stage.broker.ask("REPLICAOF", "127.0.0.1", "1")
    stage.targets.answer()
    stage.is_complete()
    assert stage.in_hand() == HANGING
    stage.broker.ask("REPLICAOF", "NO", "ONE")
    stage.sweep(hanging=0)
    wait_until(stage.nothing_waits)


def its_worker_dies_while_it_is_published(stage: Stage, worker: Process) -> None:
    """One host's checks are published and made, but for those that hang, the other's are not."""
    stage.targets.last_host_is_slow = True
    stage.begin_sweep(hanging=HANGING, published=A_HOST)
    assert stage.targets.asked_for_its_list
    worker.kill()
    worker.wait()
    stage.targets.last_host_is_slow = False
    stage.targets.answer()


def who_carries_it_on_dies_too(stage: Stage, worker: Process) -> None:
    """All that was left is published, and asked when it is killed."""
    stage.targets.hanging = MANY
    stage.a_sweep_is_silent()
    wait_until(lambda: len(stage.targets.waiting) == MANY - (A_HOST - HANGING))
    worker.kill()
    worker.wait()
    stage.targets.answer()


def another_one_carries_it_on(stage: Stage) -> None:
    """Who was not published is, and who was in the dead worker's hand; what comes again is no news."""
    newest = "SELECT state, done, total FROM instances_sweep ORDER BY started_at DESC LIMIT 1"
    assert stage.rows(newest) == [("running", A_HOST - HANGING, MANY)]
    stage.a_sweep_is_silent()
    stage.is_complete()
    stage.a_minute_passes()
    wait_until(stage.nothing_waits)
    stage.is_complete()
