"""No host holds more than its share of a worker, and none waits behind another one that is silent."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.capacity import THREADS
from tasks.host_lanes import HostLanes

PATIENCE = 60.0
Item = tuple[str, int]


@pytest.fixture(autouse=True)
def fifty() -> Iterator[None]:
    THREADS.use(50)
    yield
    THREADS.use(None)


class Hosts:
    """Looks at instances; those of a silent host are held until it is released."""

    def __init__(self, *silent: str) -> None:
        self.silent, self.released = set(silent), threading.Event()
        self.done: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._now: Counter[str] = Counter()
        self._changed = threading.Condition()

    def look(self, item: Item) -> None:
        host = item[0]
        with self._changed:
            self._now[host] += 1
            self.most[host] = max(self.most[host], self._now[host])
        if host in self.silent:
            self.released.wait(PATIENCE)
        with self._changed:
            self._now[host] -= 1
            self.done[host] += 1
            self._changed.notify_all()

    def wait_for(self, host: str, number: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.done[host] == number, PATIENCE)


def newer(_waiting: Item, coming: Item) -> Item:
    return coming


def test_three_hundred_are_looked_at_while_five_hundred_beside_them_are_silent() -> None:
    """The messages of one worker with 50 threads, in the worst order: all of the dead host first."""
    hosts = Hosts("dead")
    lanes = HostLanes(hosts.look, newer)
    items = [("dead", number) for number in range(500)] + [("well", number) for number in range(300)]
    with ThreadPoolExecutor(50) as worker:
        for item in items:
            worker.submit(lanes.run, item[0], item[1], item)
        assert hosts.wait_for("well", 300)
        assert hosts.done["dead"] == 0
        assert hosts.most["dead"] == 12
        hosts.released.set()
    assert hosts.done == {"dead": 500, "well": 300}


def test_many_silent_hosts_leave_room_for_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"dead{number}" for number in range(8)]
    hosts = Hosts(*names)
    lanes = HostLanes(hosts.look, newer)
    with ThreadPoolExecutor(50) as worker:
        for name in names:
            for number in range(100):
                worker.submit(lanes.run, name, number, (name, number))
        for number in range(300):
            worker.submit(lanes.run, "well", number, ("well", number))
        assert hosts.wait_for("well", 300)
        assert not any(hosts.done[name] for name in names)
        hosts.released.set()
    assert sum(hosts.done.values()) == 1100


def test_an_instance_that_waits_already_is_looked_at_once() -> None:
    THREADS.use(4)
    hosts = Hosts("dead")
    lanes = HostLanes(hosts.look, newer)
    with ThreadPoolExecutor(1) as worker:
        first = worker.submit(lanes.run, "dead", 0, ("dead", 0))
        while not hosts.most["dead"]:
            threading.Event().wait(0.01)
        assert [lanes.run("dead", key, ("dead", key)) for key in (1, 1, 2)] == [False] * 3
        hosts.released.set()
        assert first.result(PATIENCE) is True
    assert hosts.done["dead"] == 3


def test_a_look_that_fails_gives_its_place_back_and_takes_no_other_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    THREADS.use(4)
    begun, go_on, done = threading.Event(), threading.Event(), list[int]()

    def look(number: int) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        if number < 2:
            raise ValueError(f"number {number}")
        done.append(number)

    lanes: HostLanes[int] = HostLanes(look, lambda _old, new: new)
    with ThreadPoolExecutor(1) as worker:
        first = worker.submit(lanes.run, "host", 0, 0)
        assert begun.wait(PATIENCE)
        assert [lanes.run("host", number, number) for number in (1, 2)] == [False, False]
        go_on.set()
        with pytest.raises(ValueError, match="number 0"):
            first.result(PATIENCE)
    assert done == [2]
    assert "A check that had to wait failed: ValueError: number 1" in caplog.text
    assert lanes.run("host", 3, 3) is True


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_small_worker_looks_at_every_host_one_at_a_time(threads: int) -> None:
    THREADS.use(threads)
    hosts = Hosts()
    lanes = HostLanes(hosts.look, newer)
    assert all(lanes.run(host, 0, (host, 0)) for host in ("a", "b", "c"))
    assert hosts.done == {"a": 1, "b": 1, "c": 1}
