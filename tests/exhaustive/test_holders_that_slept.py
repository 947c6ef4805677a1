"""A holder that sleeps past its lease wakes to nothing it may do: no call, no row, and it hears so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.errors import LeaseLost
from instances.models import Health, Instance, Operation, Plan, Port
from instances.operations import last_words, service
from instances.operations.fence import READS
from instances.operations.journal import Journal
from tests.exhaustive.share import HOSTILE, ONE_OF, in_transactions_of_its_own
from tests.factories import ASKED, IMAGE, World
from tests.fakes.engine import FakeEngine
from tests.fakes.facts import image_facts
from tests.fakes.outside import MortalEngine
from tests.fast.updates import NEWEST, answers_by_image, begin, in_order, publish, start_first, update

pytestmark = in_transactions_of_its_own
MOST_MOMENTS = 300
Begin = Callable[[str], Operation]


class Sleep:
    """Counts the moments at which a holder can be kept from going on; at one of them others take over."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._meanwhile: Callable[[], object] = lambda: None
        self._locked = 0

    def at(self, moment: int, meanwhile: Callable[[], object]) -> None:
        self._left, self._meanwhile = moment, meanwhile

    @property
    def happened(self) -> bool:
        return self._left is None

    def point(self) -> None:
        if self._left is None or self._locked:
            return  # While its row is locked nobody can take the operation over.
        self._left -= 1
        if self._left < 0:
            self._left = None
            self._meanwhile()

    @contextmanager
    def holding(self, held: Any) -> Iterator[None]:
        self.point()
        with held:
            self._locked += 1
            try:
                yield
            finally:
                self._locked -= 1


@pytest.fixture
def sleep(world: World, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Sleep:
    """Moments are right before every word with the database, and right after every look at the engine."""
    world.engine.speaks = HOSTILE
    settings.PROBE_TIMEOUT = 0.5
    Plan.objects.update(start_grace=0)
    world.plan.refresh_from_db()
    # On a thread of its own the holder could not sleep while others work on the same connection.
    monkeypatch.setattr(last_words, "within", lambda _seconds, call: call())
    sleep, holding = Sleep(), Journal.holding
    monkeypatch.setattr(Journal, "holding", lambda self: sleep.holding(holding(self)))
    for name in ("write", "confirm"):
        monkeypatch.setattr(Journal, name, _after_point(sleep, getattr(Journal, name)))
    monkeypatch.setattr(MortalEngine, "__getattr__", lambda self, name: _call(sleep, self._engine, name))
    return sleep


def _after_point(sleep: Sleep, call: Callable[..., Any]) -> Callable[..., Any]:
    def later(*args: Any, **kwargs: Any) -> Any:
        sleep.point()
        return call(*args, **kwargs)

    return later


def _call(sleep: Sleep, engine: FakeEngine, name: str) -> Callable[..., Any]:
    verb: Callable[..., Any] = getattr(engine, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        answer = verb(*args, **kwargs)
        if name in READS:
            sleep.point()
        return answer

    return call


def everything(world: World) -> list[Any]:
    """All that a holder could change: on the engine and in the rows of instances and their health."""
    engine = world.engine
    rows = [
        list(model._default_manager.order_by("pk").values()) for model in (Instance, Health, Port, Operation)
    ]
    return [dict(engine._held), dict(engine.volumes), dict(engine.starts), dict(engine.stops), *rows]


def slept_at_every_moment(world: World, sleep: Sleep, prepare: Begin, every: int = 1) -> Iterator[str]:
    """Customers whose operation's first holder slept through a takeover and a later update."""
    for moment in range(0, MOST_MOMENTS, every * ONE_OF):
        customer = f"c{moment}"
        operation = prepare(customer)
        seen: list[Any] = []

        def meanwhile(customer: str = customer, seen: list[Any] = seen) -> None:
            world.clock.advance(31)
            service.recover(world.outside)
            publish(world, "agent-3")
            update(world, customer)
            seen.extend(everything(world))

        sleep.at(moment, meanwhile)
        try:
            service.run_to_end(operation.pk, world.outside)
        except LeaseLost as lost:
            assert "taken over by another process" in str(lost)
        else:
            if not sleep.happened:
                assert moment > 10, "it hardly ever slept"
                return
            assert Operation.objects.get(pk=operation.pk).finished_at
        assert everything(world) == seen, f"slept at moment {moment}"
        assert in_order(world, customer).image_id == NEWEST
        yield customer
    raise AssertionError("it never came to its end")


def an_update(world: World, bad: bool = False) -> Begin:
    def prepare(customer: str) -> Operation:
        world.engine.images[IMAGE] = image_facts("agent-1")
        publish(world, "agent-2")
        old = world.instance(customer)
        if bad:
            answers_by_image(world, old.port)
        return begin(world, customer)

    return prepare


def test_an_update_that_slept_touches_nothing_of_a_later_one(world: World, sleep: Sleep) -> None:
    assert len(list(slept_at_every_moment(world, sleep, an_update(world), every=2))) > 20 // ONE_OF


def test_a_rollback_that_slept_touches_nothing_of_a_later_update(world: World, sleep: Sleep) -> None:
    assert len(list(slept_at_every_moment(world, sleep, an_update(world, bad=True), every=3))) > 20 // ONE_OF


def test_a_start_first_update_that_slept_touches_nothing_of_a_later_one(world: World, sleep: Sleep) -> None:
    start_first(world)
    assert len(list(slept_at_every_moment(world, sleep, an_update(world), every=3))) > 10 // ONE_OF


def test_a_restart_that_slept_touches_nothing_of_a_later_update(world: World, sleep: Sleep) -> None:
    def prepare(customer: str) -> Operation:
        world.engine.images[IMAGE] = image_facts("agent-1")
        world.engine.lose(world.instance(customer).container_name)
        return service.begin_restart(customer, ASKED, world.outside)

    assert len(list(slept_at_every_moment(world, sleep, prepare))) > 15 // ONE_OF
