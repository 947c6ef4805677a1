"""One container that its engine can't handle: it fails and costs attempts, and nobody beside it suffers."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from instances.checks.check_requests import request_as_listed, request_for
from instances.checks.observe import RUNNING, observe
from instances.checks.record import record
from instances.errors import ContainerHung, EngineUnreachable
from instances.health.state import Status
from instances.models import HealthCheck, HostWatch, Incident, Instance, Operation
from instances.monitoring import hosts
from instances.operations import service
from instances.operations.procedures import restart
from instances.outside import engine_address
from tests.factories import MINUTE, World, health_of
from tests.fakes.outside import fails
from tests.fast.updates import begin, publish, steps

pytestmark = pytest.mark.django_db


def a_hung_one(world: World) -> Instance:
    instance = world.instance()
    world.engine.hung.add(instance.container_name)
    world.probe.answers[instance.port or 0] = fails("timeout")
    return instance


def look(world: World, instance: Instance) -> None:
    record([observe(request_for(instance, RUNNING), world.outside, 1)], world.now)


def until_restarts_are_used(world: World, instance: Instance) -> list[Operation]:
    """Checks as they fall due, and the restarts they call for, for forty minutes."""
    end = world.now + timedelta(minutes=40)
    while world.now < end:
        look(world, instance)
        operation = restart.begin_automatic(instance.pk, world.now)
        if operation is not None:
            service.run_to_end(operation.pk, world.outside)
        world.clock.advance(600 if health_of(instance).status == Status.FAILED else 30)
    return list(Operation.objects.order_by("created_at"))


def test_a_hung_container_that_does_not_answer_has_failed(world: World) -> None:
    instance = a_hung_one(world)
    look(world, instance)
    health = health_of(instance)
    assert (health.status, health.failures) == (Status.SUSPECT, 1)
    assert (HealthCheck.objects.get().outcome, HealthCheck.objects.get().reason) == ("fail", "hung")
    assert HealthCheck.objects.get().error == (
        "The Docker Engine answers, but its calls about this container do not."
    )


def test_a_hung_container_that_answers_is_well(world: World) -> None:
    instance = a_hung_one(world)
    del world.probe.answers[instance.port or 0]
    look(world, instance)
    assert health_of(instance).status == Status.HEALTHY


def test_its_neighbours_are_looked_at_as_ever(world: World) -> None:
    hung, neighbour = a_hung_one(world), world.instance("c2")
    world.probe.answers[neighbour.port or 0] = fails("http_503")
    for instance in (hung, neighbour):
        request = request_as_listed(instance, world.outside.engines)
        record([observe(request, world.outside, 1)], world.now)
    outcomes = dict(HealthCheck.objects.values_list("instance__customer_id", "reason"))
    assert outcomes == {"c1": "hung", "c2": "http_503"}


def test_its_engine_does_not_rest_for_it(world: World) -> None:
    instance = a_hung_one(world)
    address = engine_address(world.host)
    with pytest.raises(ContainerHung):
        world.outside.engines.look(address, lambda engine: engine.inspect(instance.container_name))
    assert world.outside.engines.look(address, lambda engine: engine.list_containers())


def test_its_host_is_in_no_trouble(world: World) -> None:
    instance = a_hung_one(world)
    for _ in range(3):
        look(world, instance)
        hosts.ask_due(world.outside)
        world.clock.advance(15)
    assert HostWatch.objects.get().failures == 0
    assert not Incident.objects.filter(kind="host").exists()


def test_every_automatic_restart_of_it_counts_and_ends_in_words(world: World) -> None:
    instance = a_hung_one(world)
    done = until_restarts_are_used(world, instance)
    waits = [(later.created_at - one.created_at) / MINUTE for one, later in pairwise(done)]
    *quick, quarter = waits
    assert max(quick) < 2 and quarter >= 12, waits
    assert {operation.status for operation in done} == {"failed"}
    assert all("answers, but its calls about this container do not" in o.error for o in done)
    assert (health_of(instance).status, health_of(instance).restarts_used) == (
        Status.FAILED,
        len(done),
    )
    assert len(done) == 4  # three, and one after 15 minutes, 20 % more or less
    assert Incident.objects.open().get().severity == "critical"


def test_a_stop_that_hangs_is_not_tried_again_and_again(world: World) -> None:
    instance = a_hung_one(world)
    for _ in range(3):
        look(world, instance)
        world.clock.advance(30)
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation
    began = world.now
    done = service.run_to_end(operation.pk, world.outside)
    assert steps(done) == {"stop": "failed"}
    assert world.now - began < timedelta(seconds=1)


def test_an_engine_that_is_silent_still_costs_no_attempt(world: World) -> None:
    instance = a_hung_one(world)
    for _ in range(3):
        look(world, instance)
        world.clock.advance(30)
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation
    for _ in range(4):
        world.engine.fail_next("inspect", EngineUnreachable("The Docker Engine is out of reach."))
    service.run_to_end(operation.pk, world.outside)
    assert (health_of(instance).status, health_of(instance).restarts_used) == (Status.UNKNOWN, 0)


def test_a_container_that_hangs_while_it_starts_does_not_speak_against_its_image(world: World) -> None:
    instance = world.instance()
    publish(world, "agent-2")
    operation = begin(world)
    world.engine.fail_next("start", ContainerHung("The engine answers, but not about this."))
    done = service.run_to_end(operation.pk, world.outside)
    assert done.status == "rolled_back"
    instance.refresh_from_db()
    assert instance.failed_images == []
