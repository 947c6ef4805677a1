"""An outage is one incident: opened, confirmed, raised and resolved with the health that causes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from instances.checks.check_requests import request_as_listed
from instances.checks.observe import observe
from instances.checks.record import record
from instances.errors import RequestError
from instances.health.response import Outcome
from instances.incidents import deadlines, lifecycle
from instances.incidents.acknowledge import acknowledge
from instances.incidents.uptime import report as uptime
from instances.models import Host, Incident, Instance, Operation, Transition
from instances.operations import service
from instances.operations.procedures import restart
from tests.factories import ASKED, MINUTE, World, a_check, a_failure, health_of, interrupt

pytestmark = pytest.mark.django_db


def look(world: World, instance: Instance, reason: str = "") -> None:
    """A check, 30 s after whatever was before."""
    world.clock.advance(30)
    instance.refresh_from_db()
    check = a_failure(world, instance, reason) if reason else a_check(world, instance)
    record([check], world.now)


def fails(world: World, instance: Instance, times: int, reason: str = "http_503") -> None:
    for _ in range(times):
        look(world, instance, reason)


def passes(world: World, instance: Instance, times: int = 2) -> None:
    for _ in range(times):
        look(world, instance)


def the_incident() -> Incident:
    return Incident.objects.get()


def timeline(incident: Incident) -> list[str]:
    return list(incident.events.values_list("kind", flat=True))


def test_the_first_failure_opens_an_incident_that_nobody_is_told_of(world: World) -> None:
    instance = world.instance()
    fails(world, instance, 1)
    incident = the_incident()
    assert (incident.key, incident.kind, incident.customer_id) == ("health:c1", "instance", "c1")
    assert (incident.severity, incident.confirmed_at, incident.notify_at) == ("info", None, None)
    assert (incident.opened_at, incident.down_since) == (world.now, world.now)
    assert incident.critical_at == world.now + timedelta(seconds=600)
    assert (incident.cause, incident.host) == ("http_503", world.host)


def test_a_blip_resolves_without_a_word(world: World) -> None:
    instance = world.instance()
    fails(world, instance, 2)
    passes(world, instance)
    incident = the_incident()
    assert (incident.is_open, incident.notify_at, incident.downtime) == (False, None, 90)
    assert incident.resolution == "healthy again after up to 180 s, without an automatic restart"


def test_three_failures_are_a_warning_that_waits_for_the_hold(world: World) -> None:
    fails(world, world.instance(), 3)
    incident = the_incident()
    assert (incident.severity, incident.confirmed_at) == ("warning", world.now)
    assert incident.notify_at == world.now + timedelta(seconds=30)
    assert timeline(incident) == ["opened", "status", "status", "severity"]


def test_used_up_restarts_are_critical(world: World) -> None:
    instance = world.instance(restarts_used=3, recovered_at=world.now, flaps=0)
    fails(world, instance, 3)
    incident = the_incident()
    assert health_of(instance).status == "failed"
    assert incident.severity == "critical"
    assert incident.events.filter(kind="severity").get().text == "critical: automatic restarts are used up"


def test_a_restart_that_helps_is_part_of_the_story_and_waits_for_the_hold(world: World) -> None:
    instance = world.instance()
    world.engine.stop(instance.container_name, 1)
    fails(world, instance, 1, "exited")
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation and service.run_to_end(operation.pk, world.outside).status == "succeeded"
    incident = the_incident()
    assert (incident.restarts, incident.severity) == (1, "info")
    assert incident.resolved_at and incident.notify_at == incident.resolved_at + timedelta(seconds=30)
    assert "restart" in timeline(incident)
    assert incident.resolution.startswith("healthy again after one restart")


def test_an_outage_is_told_as_long_as_it_was(world: World) -> None:
    """The container says when it ended; before that it was well, whenever somebody looked last."""
    instance = world.instance()
    record([a_check(world, instance)], world.now)
    world.clock.advance(3)
    died = world.now
    world.engine.stop(instance.container_name, 1)
    world.clock.advance(60)
    request = request_as_listed(instance, world.outside.engines)
    record([observe(request, world.outside, 1.0)], world.now)
    incident = the_incident()
    assert (incident.opened_at, incident.down_since) == (died, died)
    assert incident.critical_at == died + timedelta(seconds=600)
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation and service.run_to_end(operation.pk, world.outside).status == "succeeded"
    lasted = (world.now - died).total_seconds()
    assert the_incident().resolution == f"healthy again after one restart and {lasted:.0f} s"
    assert uptime(Instance.objects.all(), died - timedelta(seconds=3), world.now).total.down == lasted


def test_what_is_written_down_since_an_outage_began_stays(world: World) -> None:
    instance = world.instance(last_healthy_at=world.now)
    Transition.objects.create(instance=instance, at=world.now + timedelta(seconds=40), availability="unknown")
    world.clock.advance(60)
    record([a_failure(world, instance, "exited", container_ended_at=world.now - MINUTE / 2)], world.now)
    record([a_failure(world, world.instance("c2"), "exited", container_ended_at=None)], world.now)
    began = Transition.objects.filter(availability="down").values_list("at", flat=True)
    assert list(began) == [world.now - timedelta(seconds=20), world.now]


def test_failing_soon_after_reopens_the_same_incident_with_its_severity(world: World) -> None:
    instance = world.instance()
    fails(world, instance, 3)
    acknowledge(the_incident().pk, "ann", world.now)
    passes(world, instance)
    fails(world, instance, 1)
    incident = the_incident()
    assert (incident.is_open, incident.severity, incident.confirmed_at) == (True, "warning", None)
    assert (incident.acknowledged_at, incident.down_since) == (None, world.now)
    assert incident.critical_at == world.now + timedelta(seconds=600)
    assert timeline(incident)[-2:] == ["reopened", "status"]


def test_failing_long_after_is_a_new_incident(world: World) -> None:
    instance = world.instance()
    fails(world, instance, 1)
    passes(world, instance)
    world.clock.advance(600)
    fails(world, instance, 1)
    assert [incident.is_open for incident in Incident.objects.order_by("pk")] == [False, True]


def test_what_flaps_stays_one_open_incident_until_it_has_stayed_clean(
    world: World, settings: Settings
) -> None:
    settings.FLAPS_ALLOWED = 1
    instance = world.instance()
    for _ in range(2):
        fails(world, instance, 1)
        passes(world, instance)
    incident = the_incident()
    assert (incident.flapping, incident.is_open, incident.down_since) == (True, True, None)
    assert incident.resolve_at == world.now + timedelta(seconds=900)
    deadlines.apply_due(world.now + timedelta(seconds=899))
    assert the_incident().is_open
    deadlines.apply_due(world.now + timedelta(seconds=900))
    assert not the_incident().is_open
    assert incident.downtime == 2 * 60
    assert timeline(incident).count("flapping") == 1


def test_failing_again_while_it_flaps_puts_the_end_off(world: World, settings: Settings) -> None:
    settings.FLAPS_ALLOWED = 1
    instance = world.instance()
    for _ in range(2):
        fails(world, instance, 1)
        passes(world, instance)
    fails(world, instance, 1)
    assert (the_incident().resolve_at, the_incident().down_since) == (None, world.now)


@pytest.mark.parametrize("failures", [1, 3])
def test_being_down_for_too_long_is_critical_at_once_when_it_is_found(world: World, failures: int) -> None:
    fails(world, world.instance(), failures)
    opened = the_incident().opened_at
    deadlines.apply_due(opened + timedelta(seconds=599))
    assert the_incident().severity != "critical"
    found = opened + timedelta(seconds=600)
    deadlines.apply_due(found)
    incident = the_incident()
    assert (incident.severity, incident.notify_at, incident.critical_at) == ("critical", found, None)
    deadlines.apply_due(found + timedelta(seconds=5))
    assert timeline(the_incident()).count("deadline") == 1


@pytest.mark.parametrize(("then", "now"), [(3600, 600), (60, 600)])
def test_how_long_is_too_long_is_what_the_setting_says_now(
    world: World, settings: Settings, then: int, now: int
) -> None:
    settings.CRITICAL_AFTER = then
    fails(world, world.instance(), 3)
    opened = the_incident().opened_at
    settings.CRITICAL_AFTER = now
    deadlines.apply_due(opened + timedelta(seconds=now - 1))
    assert the_incident().severity == "warning"
    deadlines.apply_due(opened + timedelta(seconds=now))
    assert timeline(the_incident()).count("deadline") == 1


def test_what_flaps_and_is_down_by_a_clock_that_ran_fast_does_not_wait_for_that_time(
    world: World, settings: Settings
) -> None:
    settings.FLAPS_ALLOWED = 1
    instance = world.instance()
    for _ in range(2):
        fails(world, instance, 1)
        passes(world, instance)
    assert the_incident().flapping
    world.clock.advance(86_400)
    fails(world, instance, 1)
    world.clock.step(-86_400)
    fails(world, instance, 2)
    deadlines.apply_due(world.now)
    assert the_incident().severity == "critical"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Outcome.OK, ""), (Outcome.UNKNOWN, "paused"), (Outcome.UNKNOWN, "engine")],
)
def test_a_deadline_waits_while_the_last_check_did_not_fail(
    world: World, outcome: Outcome, reason: str
) -> None:
    instance = world.instance()
    fails(world, instance, 3)
    world.clock.advance(30)
    record([a_check(world, instance, outcome, reason)], world.now)
    late = the_incident().opened_at + timedelta(seconds=600)
    deadlines.apply_due(late)
    assert the_incident().severity == "warning"
    fails(world, instance, 1)
    deadlines.apply_due(late)
    assert the_incident().severity == "critical"


def test_a_deadline_waits_for_a_change_that_is_under_way(world: World) -> None:
    instance = world.instance()
    fails(world, instance, 1)
    late = the_incident().opened_at + timedelta(seconds=600)
    operation = service.begin_update("c1", ASKED, outside=world.outside)
    interrupt(operation, world)
    Operation.objects.update(lease_expires_at=late)
    deadlines.apply_due(late)
    assert the_incident().severity == "info"
    deadlines.apply_due(late + timedelta(seconds=1))  # whoever changed it has gone
    assert the_incident().severity == "critical"


@pytest.mark.parametrize("end", ["pause", "decommission"])
def test_what_nobody_looks_after_any_more_has_no_open_incident(world: World, end: str) -> None:
    fails(world, world.instance(), 2)
    Incident.objects.update(restarts=1)
    if end == "pause":
        service.pause("c1")
    else:
        world.decommission("c1")
    incident = the_incident()
    assert (incident.is_open, incident.critical_at, incident.notify_at) == (False, None, None)
    assert incident.resolution in ("paused", "the instance is being removed")


def test_many_instances_fail_in_a_bounded_number_of_statements(
    world: World, django_assert_max_num_queries: Any
) -> None:
    instances = [world.instance(f"c{number}") for number in range(10)]
    for _ in range(2):
        world.clock.advance(30)
        record([a_failure(world, instance) for instance in instances], world.now)
    world.clock.advance(30)
    checks = [a_failure(world, instance) for instance in instances]
    with django_assert_max_num_queries(16):
        record(checks, world.now)
    assert Incident.objects.filter(severity="warning").count() == 10


def test_up_and_down_are_written_when_they_change(world: World) -> None:
    instance = world.instance()
    passes(world, instance)
    fails(world, instance, 2)
    passes(world, instance)
    world.clock.advance(30)
    record([a_check(world, instance, Outcome.UNKNOWN, "engine")], world.now)
    assert list(Transition.objects.order_by("at").values_list("availability", flat=True)) == [
        "down",
        "up",
        "unknown",
    ]


def test_acknowledging_names_the_first_who_did(world: World) -> None:
    fails(world, world.instance(), 3)
    number = the_incident().pk
    acknowledge(number, "ann", world.now)
    assert acknowledge(number, "bob", world.now).acknowledged_by == "ann"
    assert timeline(the_incident())[-1] == "acknowledged"


def test_acknowledging_what_is_over_or_unknown_is_refused(world: World) -> None:
    instance = world.instance()
    fails(world, instance, 1)
    passes(world, instance)
    with pytest.raises(RequestError, match="resolved already"):
        acknowledge(the_incident().pk, "ann", world.now)
    with pytest.raises(RequestError, match="no incident 0"):
        acknowledge(0, "ann", world.now)


def test_a_host_has_one_open_incident_that_is_told_at_once(world: World) -> None:
    first = world.host_incident()
    world.clock.advance(10)
    again = world.host_incident()
    assert first.pk == again.pk
    assert (again.severity, again.confirmed_at, again.notify_at) == (
        "critical",
        first.opened_at,
        first.notify_at,
    )


def test_a_host_that_goes_again_soon_reopens_its_incident(world: World) -> None:
    first = world.host_incident()
    lifecycle.resolve(first, "It is back.", world.now)
    world.clock.advance(600)
    assert world.host_incident().pk == first.pk
    lifecycle.resolve(first, "It is back.", world.now)
    world.clock.advance(601)
    assert world.host_incident().pk != first.pk


def test_a_host_renamed_in_its_trouble_keeps_its_incident(world: World) -> None:
    first = world.host_incident()
    world.host.name = "renamed"
    world.host.save()
    again = world.host_incident()
    assert (again.pk, Incident.objects.count()) == (first.pk, 1)


def test_a_host_does_not_take_over_the_incident_of_a_removed_namesake(world: World) -> None:
    gone = Host.objects.create(name="far", docker_url="unix:///fake/two.sock")
    first = world.host_incident(gone)
    gone.delete()
    first.refresh_from_db()
    lifecycle.resolve(first, "the host was removed", world.now)
    again = world.host_incident(Host.objects.create(name="far", docker_url="unix:///fake/three.sock"))
    assert (again.pk != first.pk, again.host_id is not None) == (True, True)


def test_the_end_of_a_hosts_incident_wakes_what_it_held_back(world: World) -> None:
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    here, there = world.instance("here"), world.instance("there", host=other)
    fails(world, here, 3)
    fails(world, there, 3)
    incident = world.host_incident()
    later = world.now + timedelta(seconds=60)
    Incident.objects.filter(kind="instance").update(notify_at=later)
    lifecycle.resolve(incident, "1 of 1 is still down", world.now)
    assert Incident.objects.get(customer_id="here").notify_at == world.now
    assert Incident.objects.get(customer_id="there").notify_at == later


def test_the_database_refuses_a_second_open_incident_of_a_key(world: World) -> None:
    first = world.host_incident()
    with pytest.raises(IntegrityError), transaction.atomic():
        Incident.objects.create(key=first.key, kind=first.kind, opened_at=world.now)
