"""Log alerts where an engine's clock is wrong by hours, or is set: the lines that come now count now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from instances.models import Incident, Instance
from instances.monitoring import log_follower
from instances.monitoring.log_follower import LogFollower
from instances.monitoring.log_rules import stamped
from tests.factories import World
from tests.fast.monitoring.test_log_alerts import QUOTA, Following, ask_for, quota, writes

pytestmark = pytest.mark.django_db
HOURS = timedelta(hours=3)


class EngineClock:
    """The clock of the engine, which says nothing of what was written before the moment it is asked from."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self._world, self.ahead = world, timedelta(0)
        engine, facts, logs = world.engine, world.engine.facts, world.engine.logs

        def told(*given: Any, since: datetime, **named: Any) -> Iterator[bytes]:
            begins = since.timestamp() * 1e9
            lines = b"".join(logs(*given, **named)).splitlines(keepends=True)
            return (line for line in lines if (stamped(line)[0] or 0) >= begins)

        monkeypatch.setattr(engine, "facts", lambda: replace(facts(), time=self.now))
        monkeypatch.setattr(engine, "logs", told)

    @property
    def now(self) -> datetime:
        return self._world.now + self.ahead


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> EngineClock:
    monkeypatch.setattr(LogFollower, "start", lambda self: None)
    monkeypatch.setattr(log_follower, "SETTLES", -1.0)
    return EngineClock(world, monkeypatch)


@pytest.fixture
def following(world: World) -> Following:
    ask_for(world, QUOTA)
    return Following(world)


def logged(world: World, instance: Instance, clock: EngineClock, *numbers: int) -> None:
    writes(world, instance, *quota(*numbers), at=clock.now)


@pytest.mark.parametrize("ahead", [-HOURS, HOURS])
def test_an_engine_whose_clock_is_wrong_is_heard(
    world: World, following: Following, clock: EngineClock, ahead: timedelta
) -> None:
    instance = world.instance()
    clock.ahead = ahead
    following.read()
    logged(world, instance, clock, 1, 2, 3)
    following.read()
    assert Incident.objects.get().is_open


@pytest.mark.parametrize(("before", "after"), [(timedelta(0), -HOURS), (HOURS, timedelta(0))])
def test_an_engine_whose_clock_is_set_back_is_heard_on(
    world: World, following: Following, clock: EngineClock, before: timedelta, after: timedelta
) -> None:
    instance = world.instance()
    clock.ahead = before
    logged(world, instance, clock, 1, 2)
    following.read()
    clock.ahead = after
    following.read(3600)
    assert not Incident.objects.exists()
    logged(world, instance, clock, 3, 4)
    following.read()
    following.read()
    assert not Incident.objects.exists(), "of four lines two are old"
    logged(world, instance, clock, 5)
    following.read()
    assert Incident.objects.get().is_open


def test_a_log_that_goes_back_while_it_is_read_is_opened_anew(
    world: World, following: Following, clock: EngineClock
) -> None:
    instance = world.instance()
    following.read()
    logged(world, instance, clock, 1)
    world.clock.advance(600)
    writes(world, instance, "something else", at=clock.now)
    clock.ahead = -timedelta(seconds=300)
    logged(world, instance, clock, 2)
    following.read()
    logged(world, instance, clock, 3, 4, 5)
    following.read()
    assert Incident.objects.get().is_open
