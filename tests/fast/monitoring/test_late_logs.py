"""Log alerts of a container that writes more than may be read: told later, and over when it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from instances.models import Incident, Instance
from instances.monitoring import log_follower
from instances.monitoring.log_follower import LogFollower
from tests.factories import World
from tests.fast.monitoring.test_log_alerts import QUOTA, Following, ask_for, quota, writes

pytestmark = pytest.mark.django_db
WITHIN = 60
LAG = timedelta(seconds=10 * WITHIN)


class Rests:
    """Stands for the event that ends a follower: while it rests time passes, and others have their turn."""

    def __init__(self, world: World, meanwhile: Callable[[], None]) -> None:
        self._world, self._meanwhile = world, meanwhile

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        self._world.clock.advance(seconds)
        self._meanwhile()
        return False


@pytest.fixture
def instance(world: World, monkeypatch: pytest.MonkeyPatch) -> Instance:
    monkeypatch.setattr(LogFollower, "start", lambda self: None)
    monkeypatch.setattr(log_follower, "monotonic", world.clock.elapsed)
    monkeypatch.setattr(log_follower, "RATE", 1024)
    monkeypatch.setattr(log_follower, "BURST", 1024)
    ask_for(world, {**QUOTA, "within": WITHIN})
    return world.instance()


def floods(world: World, instance: Instance) -> None:
    """So much that each third of it is read a minute later, and stands in the log since long ago."""
    filler = ["x" * 1023] * 64
    for seconds, lines in ((1, filler), (10, [*quota(1, 2, 3), *filler]), (20, filler)):
        writes(world, instance, *lines, at=world.now + timedelta(seconds=seconds))
    world.clock.advance(LAG.total_seconds())


def follows(world: World, following: Following) -> list[list[bool]]:
    """Reads the log to its end; of each rest which incidents there were, and whether they were open."""
    seen: list[list[bool]] = []

    def turn() -> None:
        following.events.turn()
        following.watch.turn()
        seen.append([incident.is_open for incident in Incident.objects.all()])

    [each] = following.watch._followed.values()
    each.follower._over = Rests(world, turn)  # type: ignore[assignment]
    each.follower.follow()
    return seen


def test_what_is_read_late_is_told_and_stays_open_until_all_is_read(world: World, instance: Instance) -> None:
    following = Following(world)
    following.read()
    floods(world, instance)
    seen = follows(world, following)
    assert seen[0] == [] and seen[1:] == [[True]] * (len(seen) - 1) and len(seen) >= 3
    following.watch.turn()
    assert Incident.objects.get().is_open, "it has just rested"
    following.read(log_follower.SETTLES + 1)
    assert not Incident.objects.get().is_open
    following.read()
    assert Incident.objects.count() == 1


def test_who_takes_over_and_reads_slowly_tells_nothing_that_is_long_over(
    world: World, instance: Instance
) -> None:
    floods(world, instance)
    following = Following(world)
    following.events.turn()
    following.watch.turn()
    assert not any(follows(world, following))
    assert not Incident.objects.exists()


def test_an_engine_whose_clock_runs_slow_does_not_keep_an_alert_open(
    world: World, instance: Instance
) -> None:
    following = Following(world)
    following.read()
    writes(world, instance, *quota(1, 2, 3))
    following.read()
    for _ in range(3):
        writes(world, instance, "well", at=world.now - LAG)
        following.read(WITHIN)
    assert not Incident.objects.get().is_open
