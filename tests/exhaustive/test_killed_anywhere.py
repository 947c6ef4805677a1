"""Whenever its process is killed, an operation is seen through by the next one, and only once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from instances.containers.spec import container_name
from instances.errors import BusyError
from instances.health.state import Status
from instances.models import Instance, Operation, Plan, Port
from instances.operations import service
from instances.operations.journal import Journal
from instances.operations.procedures import restart
from tests.exhaustive.share import HOSTILE, ONE_OF, in_transactions_of_its_own
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.outside import Killed, fails

pytestmark = in_transactions_of_its_own
Begin = Callable[[str], Operation]
MOST_MOMENTS = 200


@pytest.fixture(autouse=True)
def mortal_journal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process can be killed around every write to the journal as around every call to the engine."""
    world.engine.speaks = HOSTILE
    fate = world.outside.fate
    write = Journal.write
    monkeypatch.setattr(Journal, "write", lambda self, **values: fate.around(write)(self, **values))


def killed_at_every_moment(
    world: World, begin: Begin, moments: Iterable[int] = range(0, MOST_MOMENTS, ONE_OF)
) -> Iterator[Operation]:
    """The operation of one customer after the other, each killed a moment later, then recovered.

    Even moments are right before a call to the engine or a write to the journal, odd ones right after.
    """
    for moment in moments:
        operation = begin(f"c{moment}")
        world.outside.fate.strikes_at(moment)
        try:
            service.run_to_end(operation.pk, world.outside)
        except Killed:
            pass
        else:
            world.outside.fate.spares()
            assert moment > 10, "nothing was ever killed"
            return
        world.clock.advance(31)
        service.recover(world.outside)
        operation.refresh_from_db()
        assert operation.finished_at, f"killed at moment {moment}: not recovered"
        yield operation
    raise AssertionError("it never came to its end")


def broken(world: World, customer_id: str) -> Instance:
    return world.instance(customer_id, status="unhealthy", failures=3, down_since=world.now)


def automatic(world: World, instance: Instance) -> Operation:
    operation = restart.begin_automatic(instance.pk, world.now)
    assert operation
    return operation


def test_a_restart_killed_at_any_moment_happens_once(world: World) -> None:
    for operation in killed_at_every_moment(world, lambda name: automatic(world, broken(world, name))):
        name = container_name(operation.customer_id)
        assert operation.status == "succeeded"
        assert operation.instance
        assert world.engine.containers.count(name) == 1
        assert (world.engine.starts[name], world.engine.stops[name]) == (1, 1)
        health = health_of(operation.instance)
        assert (health.status, health.restarts_used, health.failures) == (Status.HEALTHY, 1, 0)


def test_a_lost_container_is_made_once_whenever_its_maker_is_killed(world: World) -> None:
    def begin(name: str) -> Operation:
        instance = broken(world, name)
        world.engine.lose(instance.container_name)
        return automatic(world, instance)

    for operation in killed_at_every_moment(world, begin):
        name = container_name(operation.customer_id)
        assert operation.status == "succeeded"
        assert operation.instance
        facts = world.engine.inspect(name)
        assert facts
        assert (facts.id, facts.state) == (operation.instance.container_id, "running")
        assert world.engine.containers.count(name) == 1
        assert (world.engine.starts[name], health_of(operation.instance).restarts_used) == (1, 1)


def test_one_on_another_port_is_taken_over_with_it_whenever_that_is_killed(world: World) -> None:
    def begin(name: str) -> Operation:
        instance = broken(world, name)
        world.engine.lose(instance.container_name)
        made = world.engine.create(
            replace(instance.spec(), image=IMAGE, host_port=(instance.port or 0) + 5000)
        )
        world.engine.start(made)
        return automatic(world, instance)

    for operation in killed_at_every_moment(world, begin):
        instance = operation.instance
        assert operation.status == "succeeded" and instance
        facts = world.engine.inspect(instance.container_name)
        assert facts and facts.id == instance.container_id
        assert facts.ports[8080][1] == instance.port == Port.objects.get(instance=instance).number


def test_a_provisioning_killed_at_any_moment_makes_one_of_everything(world: World) -> None:
    for operation in killed_at_every_moment(
        world, lambda name: service.begin_provision(world.order(name), ASKED, world.outside)
    ):
        instance = operation.instance
        assert operation.status == "succeeded"
        assert instance
        facts = world.engine.inspect(instance.container_name)
        assert facts
        assert facts.id == instance.container_id
        assert world.engine.containers.count(instance.container_name) == 1
        assert world.engine.starts[instance.container_name] == 1
        assert instance.volume_name in world.engine.volumes
        assert Port.objects.get(instance=instance).number == instance.port
        assert instance.provisioned_at
        assert health_of(instance).status == Status.HEALTHY


def test_a_failing_provisioning_killed_at_any_moment_leaves_nothing(world: World, settings: Settings) -> None:
    settings.PROBE_TIMEOUT = 0.5
    Plan.objects.update(start_grace=0)
    for number in range(world.host.first_port, world.host.first_port + 100):
        world.probe.answers[number] = fails()
    after_each_call = range(1, MOST_MOMENTS, 2 * ONE_OF)
    for operation in killed_at_every_moment(
        world, lambda name: service.begin_provision(world.order(name), ASKED, world.outside), after_each_call
    ):
        assert operation.status == "failed"
        assert "did not become healthy" in operation.error
        assert world.nothing_is_left_of(operation.customer_id)


def test_a_provisioning_that_moves_its_port_is_seen_through_whenever_it_is_killed(world: World) -> None:
    def begin(name: str) -> Operation:
        operation = service.begin_provision(world.order(name), ASKED, world.outside)
        assert operation.instance
        world.engine.taken_ports.add((world.host.bind_address, operation.instance.port or 0))
        return operation

    for operation in killed_at_every_moment(world, begin):
        assert operation.status == "succeeded", operation.error
        assert operation.instance
        facts = world.engine.inspect(operation.instance.container_name)
        assert facts
        [(_, number)] = facts.ports.values()
        assert number == operation.instance.port == Port.objects.get(instance=operation.instance).number
        assert world.engine.containers.count(operation.instance.container_name) == 1


@pytest.mark.parametrize("purge", [False, True])
def test_a_decommissioning_killed_at_any_moment_is_finished(world: World, purge: bool) -> None:
    def begin(name: str) -> Operation:
        world.instance(name)
        return service.begin_decommission(name, ASKED, purge_data=purge, outside=world.outside)

    for operation in killed_at_every_moment(world, begin):
        instance = operation.instance
        assert operation.status == "succeeded"
        assert instance
        assert instance.decommissioned_at
        assert instance.container_name not in world.engine.containers
        assert (instance.volume_name in world.engine.volumes) is not purge
        assert not Port.objects.filter(instance=instance).exists()


def test_a_recovery_that_is_killed_as_well_is_recovered(world: World) -> None:
    operation = automatic(world, broken(world, "c1"))
    for moment in (3, 3, 2, 2):
        world.outside.fate.strikes_at(moment)
        with pytest.raises(Killed):
            service.recover(world.outside) or service.run_to_end(operation.pk, world.outside)
        world.clock.advance(31)
    world.outside.fate.spares()
    [done] = service.recover(world.outside)
    assert (done.status, world.engine.starts["dockmgr-c1"]) == ("succeeded", 1)


def test_recovery_before_the_lease_ran_out_touches_nothing(world: World) -> None:
    operation = automatic(world, broken(world, "c1"))
    world.outside.fate.strikes_at(4)
    with pytest.raises(Killed):
        service.run_to_end(operation.pk, world.outside)
    world.outside.fate.spares()
    world.clock.advance(29)
    assert service.recover(world.outside) == []
    with pytest.raises(BusyError, match="being worked on elsewhere"):
        service.run_to_end(operation.pk, world.outside)


def test_recovery_of_one_customer_leaves_the_others(world: World) -> None:
    for name in ("c1", "c2"):
        world.instance(name)
        service.begin_restart(name, ASKED, world.outside)
    world.clock.advance(61)
    assert [done.customer_id for done in service.recover(world.outside, "c2")] == ["c2"]
    assert Operation.objects.get(customer_id="c1").status == "queued"


def test_an_unfinished_step_is_recorded_once(world: World) -> None:
    operation = automatic(world, broken(world, "c1"))
    world.outside.fate.strikes_at(6)
    with pytest.raises(Killed):
        service.run_to_end(operation.pk, world.outside)
    world.outside.fate.spares()
    world.clock.advance(31)
    [done] = service.recover(world.outside)
    assert [(step["name"], step["status"]) for step in done.steps] == [
        ("stop", "done"),
        ("recreate", "done"),
        ("start", "done"),
        ("wait until healthy", "done"),
    ]
    assert all(set(s) == {"name", "status", "started_at", "finished_at", "detail"} for s in done.steps)
