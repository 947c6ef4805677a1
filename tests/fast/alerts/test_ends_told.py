"""Who was told of trouble hears its end, however the incident came to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from instances.checks.record import record
from instances.incidents import deadlines, lifecycle
from instances.models import Incident, Instance
from instances.operations import service
from tests.factories import World, a_check, a_failure
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db
End = Callable[[World, Instance], object]


def looks(world: World, instance: Instance, failing: int, well: int = 0) -> None:
    """So many checks that fail, and then some that pass, 30 s apart; what is due is told after each."""
    for number in range(failing + well):
        world.clock.advance(30)
        instance.refresh_from_db()
        seen = a_failure(world, instance, "http_503") if number < failing else a_check(world, instance)
        record([seen], world.now)
        told_after(world, 0)


def stays_well(world: World, instance: Instance) -> None:
    looks(world, instance, 0, 2)
    world.clock.advance(901)
    deadlines.apply_due(world.now)


ENDS: dict[str, End] = {
    "stays well": stays_well,
    "is paused": lambda world, instance: service.pause(instance.customer_id),
    "is removed": lambda world, instance: lifecycle.close_of(instance, "the instance was removed", world.now),
}


def flaps(world: World) -> Instance:
    """It was told as flapping, and fails once more, of which alone nobody is told."""
    instance = world.instance()
    incident = world.incident(instance, flapping=True)
    told_after(world, 30)
    looks(world, instance, 1)
    incident.refresh_from_db()
    assert (incident.flapping, incident.is_open, incident.confirmed_at) == (True, True, None)
    return instance


@pytest.mark.parametrize("end", ENDS)
def test_an_incident_that_was_told_and_ends_unconfirmed_is_told_to_be_over(world: World, end: str) -> None:
    a_channel()
    instance = flaps(world)
    ENDS[end](world, instance)
    assert told_after(world, 30) == ["ops resolved info c1"]
    assert not Incident.objects.get().is_open


def test_so_is_one_that_was_told_in_the_log_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "instances")
    stays_well(world, flaps(world))
    caplog.clear()
    told_after(world, 0)
    assert "No channel that is told of incidents is enabled" in caplog.text


def test_an_end_that_waits_for_the_morning_is_not_lost_by_another_failure(world: World) -> None:
    night = (world.now - timedelta(hours=1)).time(), (world.now + timedelta(hours=1)).time()
    a_channel(quiet_from=night[0], quiet_to=night[1])
    instance = world.instance()
    world.incident(instance, "critical")
    assert told_after(world, 30) == ["ops opened critical c1"]
    for _ in range(2):
        looks(world, instance, 1, 2)
    assert not Incident.objects.get().is_open
    assert told_after(world, 3600) == ["ops resolved info c1"]


def test_a_pause_is_told_to_nobody_as_a_restart_that_helped(world: World) -> None:
    a_channel()
    instance = world.instance()
    looks(world, instance, 3)
    Incident.objects.update(restarts=1)
    service.pause(instance.customer_id)
    assert told_after(world, 60) == []
