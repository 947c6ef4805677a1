"""Reminders, and the second line that hears of what nobody acknowledged."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from instances.alerts.notify import requeue
from instances.incidents.acknowledge import acknowledge
from instances.incidents.lifecycle import resolve as resolve_large
from instances.models import Incident, Notification
from tests.factories import World
from tests.fast.telling import HOUR, a_channel, change, resolve, told_after

pytestmark = pytest.mark.django_db


def test_reminders_come_until_somebody_acknowledges(world: World) -> None:
    a_channel()
    incident = world.incident(world.instance(), "critical")
    told_after(world, 30)
    Notification.objects.update(sent_at=world.now)
    assert told_after(world, HOUR - 1) == []
    assert told_after(world, 1) == ["ops reminder critical c1"]
    Notification.objects.update(sent_at=world.now)
    acknowledge(incident.pk, "ann", world.now)
    assert told_after(world, 3 * HOUR) == []
    resolve(incident, world.now)
    assert told_after(world, 0) == ["ops resolved info c1"]
    assert Notification.objects.get(kind="resolved").payload["acknowledged_by"] == "ann"


def test_a_channel_that_is_out_of_reach_collects_no_reminders(world: World) -> None:
    a_channel()
    world.incident(world.instance(), "critical")
    told_after(world, 30)
    assert [told_after(world, HOUR) for _ in range(2)] == [[], []]


def test_a_second_line_is_told_of_what_nobody_acknowledged(world: World) -> None:
    a_channel("boss", escalate_after=900)
    a_channel()
    first = world.incident(world.instance("c1"), "critical")
    second = world.incident(world.instance("c2"), "critical")
    world.incident(world.instance("c3"))
    assert "boss" not in str(told_after(world, 30))
    acknowledge(first.pk, "ann", world.now)
    assert told_after(world, 899) == []
    assert told_after(world, 1) == ["boss escalated critical c2"]
    resolve(first, world.now)
    resolve(second, world.now)
    assert told_after(world, 0) == ["ops resolved info c1", "boss resolved info c2", "ops resolved info c2"]


def test_a_second_line_counts_from_the_rise_whatever_reminders_follow_and_anew_when_it_fails_again(
    world: World, settings: Settings
) -> None:
    settings.REMIND_CRITICAL = 600
    a_channel("boss", escalate_after=900)
    a_channel()
    incident = world.incident(world.instance())
    told_after(world, 30)
    world.clock.advance(300)
    change(incident, world.now, severity="critical")
    assert told_after(world, 0) == ["ops escalated critical c1"]
    Notification.objects.update(sent_at=world.now)
    assert told_after(world, 600) == ["ops reminder critical c1"]
    assert told_after(world, 300) == ["boss escalated critical c1"]
    resolve(incident, world.now)
    told_after(world, 0)
    world.clock.advance(500)
    change(incident, world.now, resolved_at=None, confirmed_at=world.now)
    assert told_after(world, 30) == ["ops opened critical c1"]
    assert told_after(world, 899) == []
    assert told_after(world, 1) == ["boss escalated critical c1"]


def test_a_second_line_counts_on_while_it_recovers_and_fails_again(world: World) -> None:
    a_channel()
    a_channel("boss", escalate_after=900)
    incident = world.incident(world.instance(), "critical", flapping=True)
    told_after(world, 30)
    world.clock.advance(600)
    change(incident, world.now, confirmed_at=world.now)
    assert told_after(world, 299) == []
    assert told_after(world, 1) == ["boss escalated critical c1"]


def test_a_second_line_counts_from_when_it_was_told_and_not_from_when_it_was_held_back(world: World) -> None:
    a_channel()
    a_channel("boss", escalate_after=900)
    world.incident(world.instance(), "critical")
    host = world.host_incident()
    told_after(world, 0)
    world.clock.advance(300)
    resolve_large(host, "1 of 1 instances is still down", world.now)
    assert told_after(world, 0) == ["ops opened critical c1", "ops summary info host:local"]
    world.clock.advance(899)
    requeue(Incident.objects.all(), world.now)
    assert told_after(world, 0) == []
    assert told_after(world, 1) == ["boss escalated critical c1"]
