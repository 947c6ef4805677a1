"""Checks made many at a time leave the rows and the orders that checks made one by one leave."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Model
from msgspec.structs import replace

from instances.checks import sweeps
from instances.checks.check_requests import CheckRequest, request_as_listed
from instances.checks.observe import asks_first
from instances.http.many_probes import NextProbe, probe_request
from instances.models import Health, HealthCheck, HostWatch, Incident, Instance, Sweep
from instances.operations import service
from tasks import checks
from tasks.checks import CheckJob
from tasks.many_checks import ManyChecks, TakenJob
from tasks.operations import heal
from tests.factories import World
from tests.fakes.outside import fails, passes, starts
from tests.fast.conftest import a_world

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
LIVES: list[dict[str, Any]] = [
    {},
    {"status": "suspect", "failures": 1},
    {"status": "suspect", "failures": 2},
    {"status": "unhealthy", "failures": 3, "restarts_used": 1},
    {"status": "starting"},
]
ANSWERS = [
    passes("1.2.3"),
    passes(),
    starts(),
    fails(),
    fails("timeout"),
    fails("bad_json"),
    fails("refused"),
]


class AtOnce:
    """A writer, a pool and a book of messages, all on the thread that calls; the writer flushes when told."""

    def __init__(self, commit: Callable[[Sequence[Any]], Sequence[Any]], *, waits: bool = False) -> None:
        self._commit, self._waits = commit, waits
        self._waiting: list[tuple[Any, Future[Any]]] = []

    def expecting(self) -> Any:
        return transaction.atomic()

    def submit(self, item: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((item, future))
        if not self._waits:
            self.flush()
        return future

    def hand_in(self, item: Any) -> None:
        self.submit(item)

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        results = self._commit([item for item, _ in waiting]) if waiting else []
        for (_, future), result in zip(waiting, results, strict=True):
            future.set_result(result)


@dataclass
class Asker:
    """Asks at once, on the thread that calls."""

    world: World

    def line_up(self, _host: str, turn: NextProbe) -> None:
        wanted = turn()
        if wanted:
            question, then = wanted
            then(self.world.outside.probe(question.address, 5), 0.0)

    def standing(self) -> int:
        return 0


class Pool:
    def apply_async(self, target: Callable[..., object], args: tuple[Any, ...], **_: Any) -> None:
        work, *what = args
        work(*what)


@dataclass
class Book:
    """The messages in hand."""

    done_with: list[str] = field(default_factory=list)

    def done(self, tags: Sequence[str]) -> None:
        self.done_with += tags

    def set_aside(self, tags: Sequence[str]) -> None: ...

    def let_go(self, tags: Sequence[str]) -> None:
        raise AssertionError("nothing is lost here")


def scene(world: World, seed: int) -> list[CheckJob]:
    """Instances in all conditions, and the messages of a sweep about them with what goes wrong between."""
    rnd = random.Random(seed)
    instances = [
        world.instance(f"c{number}", **{**rnd.choice(LIVES), "checked_at": world.now - MINUTE})
        for number in range(5)
    ]
    row = sweeps.start(world.now, 900)
    Sweep.objects.filter(pk=row.pk).update(total=len(instances))
    for instance in rnd.sample(instances, 2):
        if rnd.random() < 0.5:
            world.engine.stop(instance.container_name, 1)
        else:
            world.engine.lose(instance.container_name)
    requests = [request_as_listed(one, world.outside.engines, str(row.pk)) for one in instances]
    rnd.shuffle(requests)
    # Of one instance all are alike: which of two that differ is recorded first is chance, in both ways.
    requests[0] = replace(requests[0], distrust="Its engine is another one.")
    jobs = [CheckJob(request, world.now + rnd.choice([MINUTE, MINUTE, -MINUTE])) for request in requests]
    jobs += [CheckJob(replace(request, sweep_id=None, look=True)) for request in rnd.sample(requests[1:], 2)]
    rnd.shuffle(jobs)
    for instance in instances:
        world.outside.probe.answers[instance.port or 0] = answering(rnd, instance)
    return jobs


def answering(rnd: random.Random, instance: Instance) -> Callable[[], Any]:
    answer, race = rnd.choice(ANSWERS), rnd.random()
    happened = False

    def asked() -> Any:
        """Something may happen while the instance is asked for the first time."""
        nonlocal happened
        if happened:
            return answer
        happened = True
        if race < 0.15:
            service.pause(instance.customer_id)
        elif race < 0.3:
            Health.objects.filter(pk=instance.pk).update(revision=100, failures=1, status="suspect")
        elif race < 0.4:
            Instance.objects.filter(pk=instance.pk).update(container_id="f" * 64)
        return answer

    return asked


def one_by_one(jobs: list[CheckJob]) -> None:
    for job in jobs:
        checks.LANES.run(job.request.engine, job.request.instance_id, job)


def many_at_a_time(world: World, jobs: list[CheckJob], book: Any, repeated: int) -> None:
    """The same messages; the worker is killed after recording, so that some come again."""
    many = ManyChecks(book, Asker(world), Pool())
    writer: Any = AtOnce(many.write, waits=True)
    many.writer = writer
    tagged = [TakenJob(job, str(number)) for number, job in enumerate(jobs)]
    for taken in tagged:
        many.begin(taken)
    writer.flush()
    assert sorted(book.done_with) == sorted(taken.tag for taken in tagged)
    of_sweep = [one for one in tagged if one.job.request.sweep_id and not one.job.is_over(world.now)]
    for taken in of_sweep[:repeated]:
        many.begin(replace(taken, job=replace(taken.job, again=True)))
    writer.flush()


def left(ordered: list[int]) -> dict[str, Any]:
    """All that is left in the database, and the restarts that were ordered."""
    swept = Health.objects.exclude(last_sweep=None)
    return {
        "health": told(Health, "revision", "last_sweep"),
        "swept": sorted(swept.values_list("instance__customer_id", flat=True)),
        "history": told(HealthCheck, "id", "sweep"),
        "sweeps": list(Sweep.objects.values_list("state", "done", "total")),
        "incidents": sorted(map(str, Incident.objects.values_list("key", "severity", "cause", "message"))),
        "hosts": list(HostWatch.objects.values_list("host__name", "ask_at")),
        "restarts": sorted(Instance.objects.filter(pk__in=ordered).values_list("customer_id", flat=True)),
    }


def told(model: type[Model], *but: str) -> list[str]:
    """All columns of all rows but those that tell nothing, by customer."""
    columns = [column.name for column in model._meta.concrete_fields if column.name not in (*but, "instance")]
    rows: Any = model._default_manager
    return sorted(map(str, rows.values_list("instance__customer_id", *columns)))


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The instances whose restart was ordered."""
    found: list[int] = []
    monkeypatch.setattr(heal, "apply_async", lambda kwargs: found.append(kwargs["instance_id"]))
    monkeypatch.setattr("instances.checks.record.jitter", lambda: 0.0)
    monkeypatch.setattr(checks, "COMMITTER", AtOnce(checks.commit))
    yield found


@pytest.mark.parametrize("seed", [1, 13, 20, 27])  # of thirty those that show most defects
def test_both_leave_the_same(ordered: list[int], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found, book = [], Book()
    jobs: list[CheckJob] = []
    for way in ("one", "many"):
        with transaction.atomic():
            ordered.clear()
            world = a_world(monkeypatch)
            jobs = scene(world, seed)
            if way == "one":
                one_by_one(jobs)
            else:
                many_at_a_time(world, jobs, book, repeated=2)
            found.append(left(ordered))
            transaction.set_rollback(True)
    assert found[0] == found[1]
    assert any(takes_any(job.request) for job in jobs)


def takes_any(request: CheckRequest) -> bool:
    address = asks_first(request)
    return address is not None and probe_request(address) is not None
