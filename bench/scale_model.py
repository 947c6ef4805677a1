"""A sweep and a night of lost hosts by discrete events: what more machines give, before anybody buys them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

BATCH = 50  # checks at most that move together, for speed: less than a tenth of a second of anybody's work
Events = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one check by who pays them, and bytes that a waiting message takes in the broker."""

    publishing: float
    worker: float
    broker: float
    database: float
    message_bytes: float
    answering: float = 0.0  # the targets', where they are on the same cores


@dataclass(frozen=True)
class Way:
    """How a worker process makes checks: so many at once, of which one that hangs holds its place a while.

    `gathers` is how long a check waits in the mean to be recorded with others, in seconds.
    """

    name: str
    costs: Costs
    at_once: int
    hanging_holds: float
    gathers: float = 0.0


@dataclass(frozen=True)
class Targets:
    """Who is asked. A share, `hanging`, takes `timeout` seconds; others answer after `answers_after`."""

    number: int
    answers_after: float = 0.0
    hanging: float = 0.0
    timeout: float = 5.0


@dataclass(frozen=True)
class Machines:
    """Worker processes and cores. A Python process keeps one core busy at most, and so does a Redis.

    `cores` of the workers' machines together; `database_cores` and brokers of their own, or, with
    `shares_cores`, all on the same cores.
    """

    processes: int
    cores: int
    database_cores: int = 0
    brokers: int = 1
    databases: int = 1
    shares_cores: bool = False


@dataclass(frozen=True)
class Swept:
    """Seconds from the sweep's start to the last committed row; shares of that in which each was busy.

    The publisher is the one worker process that cuts the sweep into messages.
    """

    seconds: float
    publisher_share: float
    worker_share: float
    broker_share: float
    database_share: float
    broker_bytes: float

    @property
    def busiest(self) -> str:
        """What gives out first."""
        shares = {
            "publisher": self.publisher_share,
            "worker processes": self.worker_share,
            "broker": self.broker_share,
            "database": self.database_share,
        }
        return max(shares, key=lambda name: shares[name])


class _Unit:
    """Who works one piece at a time for each of its `capacity`, on cores that may be others' as well."""

    def __init__(self, env: simpy.Environment, capacity: int, cores: simpy.Resource | None) -> None:
        self._env, self._cores, self.capacity = env, cores, capacity
        self._own = simpy.Resource(env, capacity)
        self.worked = 0.0

    def work(self, seconds: float) -> Events:
        self.worked += seconds
        with self._own.request() as turn:
            yield turn
            if self._cores is None:
                yield self._env.timeout(seconds)
                return
            with self._cores.request() as core:
                yield core
                yield self._env.timeout(seconds)


class _Sweep:
    def __init__(self, targets: Targets, way: Way, machines: Machines) -> None:
        self._targets, self._way, self._machines = targets, way, machines
        self._env = env = simpy.Environment()
        cores = simpy.Resource(env, machines.cores)
        others = cores if machines.shares_cores else None
        database_cores = machines.cores if machines.shares_cores else machines.database_cores
        self._workers = [_Unit(env, 1, cores) for _ in range(machines.processes)]
        self._broker = _Unit(env, machines.brokers, others)
        self._database = _Unit(env, database_cores * machines.databases, others)
        self._answerer = _Unit(env, 1, others)
        self._queue = simpy.Store(env)
        self._batch = max(1, min(BATCH, way.at_once // 10))
        self._queued = self._most_queued = self._taken = self._done = 0
        self._is_over = env.event()

    def run(self) -> Swept:
        self._env.process(self._publish())
        for worker in self._workers:
            self._env.process(self._take(worker))
        self._env.run(until=self._is_over)
        seconds = self._env.now
        return Swept(
            seconds=seconds,
            publisher_share=self._targets.number * self._way.costs.publishing / seconds,
            worker_share=sum(w.worked for w in self._workers) / seconds / len(self._workers),
            broker_share=self._broker.worked / seconds / self._machines.brokers,
            database_share=self._database.worked / seconds / self._database.capacity,
            broker_bytes=self._most_queued * self._way.costs.message_bytes,
        )

    def _publish(self) -> Events:
        """The task of the sweep: one message for each instance, by one process."""
        costs, left = self._way.costs, self._targets.number
        while left:
            number = min(self._batch, left)
            left -= number
            yield from self._workers[0].work(number * costs.publishing)
            yield from self._broker.work(number * costs.broker / 2)
            self._queued += number
            self._most_queued = max(self._most_queued, self._queued)
            self._queue.put(number)

    def _take(self, worker: _Unit) -> Events:
        room = simpy.Container(self._env, self._way.at_once, self._way.at_once)
        while True:
            number = yield self._queue.get()
            yield room.get(number)
            hanging = self._hanging(number)
            self._queued -= number
            self._taken += number
            self._env.process(self._ask(worker, room, number - hanging))
            for _ in range(hanging):
                self._env.process(self._wait_in_vain(worker, room))

    def _hanging(self, number: int) -> int:
        """How many of the next so many hang, spread evenly over all."""
        share = self._targets.hanging
        return round((self._taken + number) * share) - round(self._taken * share)

    def _ask(self, worker: _Unit, room: simpy.Container, number: int) -> Events:
        yield self._env.timeout(self._targets.answers_after)
        if self._machines.shares_cores:
            yield from self._answerer.work(number * self._way.costs.answering)
        yield from self._record(worker, number)
        if number:
            yield room.put(number)

    def _wait_in_vain(self, worker: _Unit, room: simpy.Container) -> Events:
        held = min(self._way.hanging_holds, self._targets.timeout)
        yield self._env.timeout(held)
        yield room.put(1)
        yield self._env.timeout(self._targets.timeout - held)
        yield from self._record(worker, 1)

    def _record(self, worker: _Unit, number: int) -> Events:
        costs = self._way.costs
        yield self._env.timeout(self._way.gathers)
        yield from worker.work(number * costs.worker)
        yield from self._database.work(number * costs.database)
        yield from self._broker.work(number * costs.broker / 2)
        self._done += number
        if self._done == self._targets.number:
            self._is_over.succeed()


def sweep(targets: Targets, way: Way, machines: Machines) -> Swept:
    """Every target asked once, in `way`, by these machines."""
    return _Sweep(targets, way, machines).run()


@dataclass(frozen=True)
class Healing:
    """What a restart takes: of its host `seconds` until healthy, so many at once; of workers CPU seconds."""

    seconds: float
    at_once_on_a_host: int
    worker_cpu: float


def hosts_return(hosts: int, broken_on_each: int, healing: Healing, slots: int, cores: int) -> float:
    """Seconds until all is healthy again, after hosts came back with broken instances on each.

    `slots` operations run at once in all workers, which have so many cores.
    """
    env = simpy.Environment()
    places, machines = simpy.Resource(env, slots), simpy.Resource(env, cores)

    def restart(turns: simpy.Resource) -> Events:
        with turns.request() as turn:
            yield turn
            with places.request() as place:
                yield place
                with machines.request() as core:
                    yield core
                    yield env.timeout(healing.worker_cpu)
                yield env.timeout(max(0.0, healing.seconds - healing.worker_cpu))

    for _ in range(hosts):
        turns = simpy.Resource(env, healing.at_once_on_a_host)
        for _ in range(broken_on_each):
            env.process(restart(turns))
    env.run()
    return float(env.now)
