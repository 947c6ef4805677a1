"""A container that somebody paused, as backups do: left alone, and told when it lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from instances.checks.check_requests import request_as_listed
from instances.checks.roster import Roster
from instances.fleet.sweep import check_here, sweep_here
from instances.models import Incident, Instance, Operation
from tests.factories import World, health_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def paused(world: World) -> Instance:
    instance = world.instance()
    world.engine.change(instance.container_name, state="paused")
    return instance


def test_it_is_no_failure_and_nothing_is_restarted(world: World, paused: Instance) -> None:
    for _ in range(3):
        sweep_here("test", world.outside)
        world.clock.advance(60)
    health = health_of(paused)
    assert (health.status, health.reason, health.failures) == ("unknown", "paused", 0)
    assert (health.down_since, Operation.objects.count()) == (None, 0)
    paused.refresh_from_db()
    assert paused.finding == "paused"


def test_it_is_seen_from_the_list_without_waiting_for_an_answer(world: World, paused: Instance) -> None:
    request = request_as_listed(paused, world.outside.engines)
    assert request.listed == "paused"
    world.probe.answers[request.url] = lambda: pytest.fail("it was asked")
    [recorded] = check_here(Roster.of_rows([paused]), world.outside)
    assert recorded.seen.reason == "paused"


def test_one_that_is_paused_after_the_list_was_made_is_seen_when_it_does_not_answer(world: World) -> None:
    instance = world.instance()
    list_containers = world.engine.list_containers

    def paused_after_it() -> object:
        listed = list_containers()
        world.engine.change(instance.container_name, state="paused")
        return listed

    world.engine.list_containers = paused_after_it  # type: ignore[method-assign,assignment]
    [recorded] = check_here(Roster.of_rows([instance]), world.outside)
    assert (recorded.seen.reason, health_of(instance).failures) == ("paused", 0)


def test_nobody_is_told_of_a_short_pause(world: World, paused: Instance) -> None:
    began = world.now
    list(check_here(Roster.of_rows([paused]), world.outside))
    incident = Incident.objects.get()
    assert (incident.kind, incident.severity, incident.cause) == ("container", "warning", "paused")
    assert incident.notify_at == began + timedelta(minutes=10)
    world.clock.advance(300)
    world.engine.change(paused.container_name, state="running")
    paused.refresh_from_db()
    list(check_here(Roster.of_rows([paused]), world.outside))
    incident.refresh_from_db()
    paused.refresh_from_db()
    assert (incident.resolved_at, paused.finding) == (world.now, "")
    assert health_of(paused).status == "healthy"
