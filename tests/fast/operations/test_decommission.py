"""The container goes; the data stays unless its end is asked for."""

from __future__ import annotations

import pytest

from instances import lookup
from instances.checks.record import record
from instances.errors import PermanentError, RequestError
from instances.models import HealthCheck, Instance, Operation, Port
from instances.operations import service
from instances.operations.requester import Requester
from tests.factories import ASKED, World, a_failure, health_of, interrupt

pytestmark = pytest.mark.django_db


def test_the_container_is_removed_and_the_row_stays_without_its_secrets(world: World) -> None:
    record([a_failure(world, world.instance())], world.now)
    done = world.decommission()
    assert (done.status, world.engine.containers, list(world.engine.volumes)) == (
        "succeeded", [], ["dockmgr-c1-data"],
    )  # fmt: skip
    assert world.engine.stops == {"dockmgr-c1": 1}
    assert [step["detail"] for step in done.steps] == ["stopped", "removed", "kept"]
    row = Instance.objects.get()
    assert (row.env, row.port, row.decommissioned_at) == ({}, None, world.now)
    assert HealthCheck.objects.count() == 1
    assert not Port.objects.exists()
    with pytest.raises(RequestError, match="There is no instance of customer c1"):
        lookup.instance("c1")
    world.instance()
    assert Instance.objects.count() == 2, "its names are free"


def test_the_data_goes_when_that_is_asked_for(world: World) -> None:
    world.instance()
    done = world.decommission(purge_data=True)
    assert world.engine.volumes == {}
    assert done.steps[-1]["detail"] == "removed with all data"


def test_an_instance_without_a_container_can_go(world: World) -> None:
    instance = world.instance()
    world.engine.lose(instance.container_name)
    done = world.decommission()
    assert (done.status, done.steps[1]["detail"]) == ("succeeded", "there is none")


def test_a_strangers_container_under_our_name_is_neither_stopped_nor_removed(world: World) -> None:
    instance = world.instance()
    world.stranger_takes_over(instance)
    assert world.decommission().status == "succeeded"
    facts = world.engine.inspect(instance.container_name)
    assert facts
    assert facts.state == "running"


def test_a_check_under_way_counts_no_more(world: World) -> None:
    instance = world.instance()
    check = a_failure(world, instance)
    operation = service.begin_decommission("c1", ASKED, outside=world.outside)
    interrupt(operation, world).release(0)
    Operation.objects.update(interrupts=True)
    [during], _ = record([check], world.now)
    service.run_to_end(operation.pk, world.outside)
    [after], _ = record([check], world.now)
    assert (during.skipped, after.skipped) == ("being changed by an operation", "no longer there")
    assert health_of(instance).failures == 0


def test_a_refusal_leaves_the_instance_as_it_is(world: World) -> None:
    world.instance()
    world.engine.fail_next("remove", PermanentError("The engine refuses."))
    done = world.decommission()
    assert (done.status, done.error) == ("failed", "The engine refuses.")
    assert Instance.objects.get().decommissioned_at is None
    assert Port.objects.count() == 1
    assert world.decommission().status == "succeeded"


def test_the_same_request_joins_even_when_the_instance_is_gone(world: World) -> None:
    world.instance()
    asked = Requester("billing", "cancelled", "order-78")
    first = service.begin_decommission("c1", asked, outside=world.outside)
    service.run_to_end(first.pk, world.outside)
    assert service.begin_decommission("c1", asked, outside=world.outside).pk == first.pk
