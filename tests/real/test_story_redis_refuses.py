"""A Redis that can't save, and one that is still loading: said in words, and everything goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from dev.servers import redis_server
from dev.servers.folders import short_folder
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import wait_until
from tests.real.test_story_api import Service, token, web

pytestmark = pytest.mark.real
CANNOT_SAVE = "The broker refuses: it can't save to its disk (DOCKMGR_BROKER_URL)."
LOADING = "The broker refuses: it is still loading its data (DOCKMGR_BROKER_URL)."
KEYS, KEY_DELAY = 5000, 2000  # that many keys, each of so many microseconds to load
SLOW = ("--key-load-delay", str(KEY_DELAY), "--loading-process-events-interval-bytes", "1024")


class Broker:
    """A Redis with a folder of its own that can be started anew."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._socket = folder, stack.enter_context(short_folder()) / "redis.sock"
        self._running = stack.enter_context(ExitStack())
        self.start()

    def start(self, *options: str) -> None:
        self.url = self._running.enter_context(
            redis_server(self._folder, socket=self._socket, persist=True, options=options)
        )

    def stop(self) -> None:
        self._running.close()

    def can_save(self, server: Redis, can: bool) -> None:
        """Have it fail to save, and so refuse writes, because a folder lies where its file belongs."""
        in_the_way = self._folder / "redis" / "dump.rdb" / "content"
        if can:
            in_the_way.rmdir()
            in_the_way.parent.rmdir()
        else:
            in_the_way.mkdir(parents=True)
            server.config_set("save", "3600 1")
        server.bgsave()
        expected = "ok" if can else "err"
        wait_until(lambda: server.info("persistence")["rdb_last_bgsave_status"] == expected)

    def fill(self, server: Redis) -> None:
        """Give it so much to load at its next start that it takes seconds."""
        with server.pipeline(transaction=False) as asked:
            for number in range(KEYS):
                asked.set(f"filler:{number}", "x")
            asked.execute()
        server.bgrewriteaof()
        wait_until(lambda: not server.info("persistence")["aof_rewrite_in_progress"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with ExitStack() as stack:
        yield Broker(tmp_path, stack)


@pytest.fixture
def fleet(home: Path, docker_url: str, broker: Broker, demo_image: str, database: str) -> Iterator[Fleet]:
    quick = {"DOCKMGR_LOOK_INTERVAL": "2", "DOCKMGR_WATCH_INTERVAL": "0.2"}
    with a_fleet(home, docker_url, broker.url, demo_image, database_url=database, environ=quick) as fleet:
        yield fleet


@dataclass
class Stage:
    """What is said of an outage, by whom."""

    fleet: Fleet
    service: Service
    mark: int = 0

    @property
    def log(self) -> Path:
        return self.fleet.home / "worker.log"

    def begin(self) -> None:
        """Only what is logged from now on counts."""
        self.mark = self.log.stat().st_size

    def said(self) -> list[str]:
        """The worker's lines without their times."""
        return [line.split(" ", 2)[-1] for line in self.log.read_text()[self.mark :].splitlines()]

    def restart(self, name: str = "two") -> tuple[int, dict[str, Any]]:
        return self.service.ask("POST", f"/instances/{self.fleet.customer(name)}/restart", {})

    def refuses(self, sentence: str) -> None:
        """The API and the command say why, and take the order back; the worker says it once for each task."""
        status, problem = self.restart()
        assert (status, problem["detail"]) == (503, sentence)
        done = self.fleet.run("restart", "--customer-id", self.fleet.customer("two"), "--enqueue")
        assert (done.returncode, done.stdout, done.stderr) == (3, "", f"{sentence}\n")
        wait_until(lambda: any("A turn of clockwork" in line for line in self.said()))
        told = [line for line in self.said() if sentence in line]
        assert len(told) == len(set(told)) >= 3
        assert not any(words in line for line in self.said() for words in ("Traceback", "Deprecation"))

    def goes_on(self) -> None:
        """The next order is taken as soon as the broker takes it, and carried out."""
        orders: list[dict[str, Any]] = []

        def taken() -> bool:
            status, order = self.restart()
            orders.append(order)
            return status == 202

        wait_until(taken)
        assert self.service.carried_out(orders[-1])["status"] == "succeeded"


@pytest.fixture
def stage(fleet: Fleet) -> Iterator[Stage]:
    fleet.provision("one", BOOT_SECONDS="4")
    fleet.provision("two")
    with web(fleet) as path, fleet.worker(), fleet.beat():
        yield Stage(fleet, Service(path, token(fleet, "operate")))


@pytest.mark.thorough
def test_a_redis_that_can_not_save_or_still_loads_is_told_and_loses_nothing(
    stage: Stage, broker: Broker
) -> None:
    with closing(stage.fleet.redis()) as server:
        _, under_way = stage.restart("one")
        wait_until(lambda: stage.fleet.at_step("one", "wait until healthy"))
        stage.begin()
        broker.can_save(server, False)
        stage.refuses(CANNOT_SAVE)
        assert stage.service.carried_out(under_way)["status"] == "succeeded"
        broker.can_save(server, True)
        stage.goes_on()

        broker.fill(server)
        stage.begin()
        broker.stop()
        broker.start(*SLOW)
        stage.refuses(LOADING)
        stage.goes_on()
    orders = [row["status"] for row in stage.fleet.restarts("two")]
    assert (orders.count("succeeded"), set(orders)) == (2, {"succeeded", "failed"})
    assert (stage.fleet.boots("one"), stage.fleet.boots("two")) == (2, 3)
    assert stage.fleet.health("restarts_used") == {"one": 0, "two": 0}
    assert stage.fleet.sql("SELECT count(*) FROM instances_incident WHERE kind = 'instance'") == [(0,)]
