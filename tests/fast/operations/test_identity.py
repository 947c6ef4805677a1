"""What others do to a container is seen, told once, and never answered by a second one beside it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from instances import documents
from instances.checks.roster import Roster
from instances.containers.spec import OPERATION_LABEL, previous_name
from instances.fleet.sweep import check_here
from instances.models import Health, Incident, Instance, Operation, Port
from instances.operations import service
from instances.operations.procedures.restart import begin_automatic
from instances.operations.validate import validate
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes
from tests.fast.updates import NEWEST, answers_by_image, in_order, publish
from tests.fast.updates import begin as begin_update

pytestmark = pytest.mark.django_db


@pytest.fixture
def instance(world: World) -> Instance:
    return world.instance("c1")


def rename(world: World, instance: Instance) -> None:
    world.engine.rename(instance.container_id, "c0ffee_dockmgr-c1")


def copy(world: World, instance: Instance, **changes: Any) -> str:
    """A tool makes the container anew through the API, with the same labels, and starts it."""
    world.engine.lose(instance.container_id)
    made = world.engine.create(replace(instance.spec(), image=IMAGE, **changes))
    world.engine.start(made)
    world.engine.starts.clear()
    return made


def look(world: World, times: int = 1) -> Health:
    for _ in range(times):
        world.clock.advance(60)
        list(check_here(Roster.of_rows(Instance.objects.all()), world.outside))
    return Health.objects.get()


def heal(world: World, instance: Instance) -> Health:
    """Looks as they fall due, until one calls for a restart, and that restart."""
    for _ in range(3):
        look(world)
        operation = begin_automatic(instance.pk, world.now)
        if operation is not None:
            service.run_to_end(operation.pk, world.outside)
            return Health.objects.get()
    raise AssertionError("no look called for a restart")


def fresh(instance: Instance) -> Instance:
    return Instance.objects.get(pk=instance.pk)


def told() -> list[tuple[str, str, bool]]:
    rows = Incident.objects.filter(kind="container").order_by("pk")
    return [(row.severity, row.cause, row.is_open) for row in rows]


def update(world: World, image: str | None = None) -> Operation:
    return service.run_to_end(begin_update(world, "c1", image=image).pk, world.outside)


def test_a_renamed_one_that_is_well_is_left_alone_and_told_once(world: World, instance: Instance) -> None:
    rename(world, instance)
    for _ in range(2):
        health = look(world)
        assert (health.status, health.restarts_used) == ("healthy", 0)
    assert world.engine.containers == ["c0ffee_dockmgr-c1"] and not world.engine.starts
    assert told() == [("warning", "renamed", True)]
    shown = documents.instance(fresh(instance))
    assert (shown["finding"], bool(shown["finding_since"])) == ("renamed", True)


@pytest.mark.parametrize("acts", ["restart", "update"])
def test_a_renamed_one_gets_its_name_back(world: World, instance: Instance, acts: str) -> None:
    world.engine.registry[IMAGE] = image_facts("agent-1")
    rename(world, instance)
    look(world)
    done = world.restart() if acts == "restart" else update(world)
    assert done.status == "succeeded", done.error
    assert world.engine.containers == ["dockmgr-c1"]
    assert told() == [("warning", "renamed", False)]
    assert fresh(instance).finding == ""


def test_a_renamed_one_that_died_is_started_and_not_made_anew(world: World, instance: Instance) -> None:
    rename(world, instance)
    world.engine.change(instance.container_id, state="exited")
    health = heal(world, instance)
    assert (health.status, health.restarts_used) == ("healthy", 1)
    assert fresh(instance).container_id == instance.container_id
    assert world.engine.containers == ["dockmgr-c1"]


def test_a_copy_with_its_labels_is_taken_over_by_a_restart(world: World, instance: Instance) -> None:
    world.engine.images["other"] = image_facts("other")
    made = copy(world, instance)
    world.engine.change(made, image_id="sha256:other")
    assert look(world).status == "healthy"
    assert told() == [("warning", "replaced", True)]
    assert fresh(instance).container_id == instance.container_id, "seeing is not taking over"
    assert world.restart().status == "succeeded"
    now = fresh(instance)
    assert (now.container_id, now.image_id, now.finding) == (made, "sha256:other", "")
    assert world.engine.containers == ["dockmgr-c1"] and world.engine.starts == {"dockmgr-c1": 1}
    assert told() == [("warning", "replaced", False)]


def test_a_copy_that_fails_is_restarted_itself(world: World, instance: Instance) -> None:
    made = copy(world, instance)
    world.engine.change(made, state="exited")
    assert heal(world, instance).status == "healthy" and fresh(instance).container_id == made
    assert world.engine.containers == ["dockmgr-c1"]


def test_a_copy_is_updated_with_a_way_back_to_it(world: World, instance: Instance) -> None:
    world.engine.registry["registry.example.com/agent:2.0"] = image_facts("agent-2")
    made = copy(world, instance)
    world.probe.answers[instance.port or 0] = lambda: (
        passes() if world.engine.inspect(made) and _runs(world, made) else fails("refused")
    )
    done = update(world, "registry.example.com/agent:2.0")
    assert done.status == "rolled_back"
    assert world.engine.containers == ["dockmgr-c1"]
    assert fresh(instance).container_id == made and _runs(world, made)


def _runs(world: World, which: str) -> bool:
    facts = world.engine.inspect(which)
    return facts is not None and facts.state == "running"


def test_a_copy_beside_is_not_joined_by_a_second_writer(world: World, instance: Instance) -> None:
    made = copy(world, instance, name="c1-new")
    assert (look(world).status, world.engine.containers) == ("healthy", ["c1-new"])
    assert world.restart().status == "succeeded"
    assert world.engine.containers == ["dockmgr-c1"] and fresh(instance).container_id == made


def test_a_stranger_that_answers_serves_and_is_told(world: World, instance: Instance) -> None:
    copy(world, instance, labels={})
    assert look(world).status == "healthy"
    assert told() == [("warning", "replaced", True)]
    assert {e["code"] for e in validate(fresh(instance), world.outside).errors} >= {"replaced"}


def test_a_stranger_that_fails_costs_no_attempt_and_is_not_touched(world: World, instance: Instance) -> None:
    world.stranger_takes_over(instance)
    stranger = world.engine.inspect("dockmgr-c1")
    world.probe.answers[instance.port or 0] = lambda: fails("refused")
    health = look(world, 4)
    assert (health.status, health.reason, health.restarts_used) == ("failed", "replaced", 0)
    assert "did not make" in health.error
    assert world.engine.inspect("dockmgr-c1") == stranger
    assert not Operation.objects.filter(kind="restart").exists()
    done = world.restart()
    assert done.status == "failed" and "Remove or rename it" in done.error
    assert world.engine.inspect("dockmgr-c1") == stranger
    assert health_of(instance).restarts_used == 0


def test_once_the_stranger_is_gone_it_is_made_anew_by_itself(world: World, instance: Instance) -> None:
    world.stranger_takes_over(instance)
    world.probe.answers[instance.port or 0] = lambda: fails("refused")
    look(world, 4)
    world.engine.lose("dockmgr-c1")
    del world.probe.answers[instance.port or 0]
    assert heal(world, instance).status == "healthy" and world.engine.containers == ["dockmgr-c1"]
    assert told() == [("warning", "replaced", False)]


def test_one_put_aside_is_not_started_beside_what_stands_in_its_place(
    world: World, instance: Instance
) -> None:
    rename(world, instance)
    world.engine.stop(instance.container_id, 1)
    world.engine.create(replace(instance.spec(), image=IMAGE, labels={}, host_port=0))
    world.engine.start("dockmgr-c1")
    world.engine.starts.clear()
    world.probe.answers[instance.port or 0] = lambda: fails("refused")
    health = look(world, 4)
    assert (health.status, health.reason, health.restarts_used) == ("failed", "replaced", 0)
    assert update(world).status == "failed"
    assert not world.engine.starts
    assert world.engine.containers == ["c0ffee_dockmgr-c1", "dockmgr-c1"]


def test_an_update_is_refused_while_others_share_its_network(world: World, instance: Instance) -> None:
    sidecar = replace(instance.spec(), name="sidecar", image=IMAGE, labels={}, host_port=0)
    world.engine.create(sidecar)
    world.engine.reconfigure("sidecar", NetworkMode=f"container:{instance.container_id}")
    world.engine.registry[IMAGE] = image_facts("agent-2")
    notes = {note.code: note.message for note in validate(instance, world.outside).notes}
    assert notes["dependents"].startswith("sidecar shares")
    assert notes["shared_data"] == "sidecar also mounts the instance's data."
    done = update(world)
    assert done.status == "failed" and "remove sidecar first" in done.error
    assert fresh(instance).container_id == instance.container_id
    world.engine.reconfigure("sidecar", NetworkMode="bridge")
    done = update(world)
    assert done.status == "succeeded"
    assert "sidecar also mounts its data" in done.steps[0]["detail"]


@pytest.mark.parametrize("stands", ["copy", "stranger"])
def test_leaving_takes_the_copy_along_and_leaves_the_stranger(
    world: World, instance: Instance, stands: str
) -> None:
    copy(world, instance) if stands == "copy" else world.stranger_takes_over(instance)
    done = service.begin_decommission("c1", ASKED, outside=world.outside)
    assert service.run_to_end(done.pk, world.outside).status == "succeeded"
    assert world.engine.containers == ([] if stands == "copy" else ["dockmgr-c1"])
    assert not Incident.objects.open().exists()


def test_one_made_anew_on_another_port_is_asked_there_once_it_is_taken_over(
    world: World, instance: Instance
) -> None:
    made = copy(world, instance, host_port=20077)
    health = heal(world, instance)
    assert (health.status, health.restarts_used, fresh(instance).container_id) == ("healthy", 1, made)
    [port] = Port.objects.all()
    assert (port.number, port.instance, fresh(instance).port) == (20077, instance, 20077)
    assert validate(fresh(instance), world.outside).errors == []


@pytest.mark.parametrize("removed", [False, True])
def test_an_update_that_fails_goes_back_to_one_on_another_port(
    world: World, instance: Instance, removed: bool
) -> None:
    copy(world, instance, host_port=20077)
    world.engine.images["kept"] = image_facts("agent-1")
    publish(world)
    answers_by_image(world, 20077)
    if removed:
        world.clock.at(1, lambda: world.engine.lose(previous_name(instance.container_name)))
    assert update(world).status == "rolled_back"
    assert in_order(world).port == 20077


def test_a_port_of_somebody_else_is_not_taken_with_the_container(world: World, instance: Instance) -> None:
    other = world.instance("c2")
    world.engine.stop(other.container_id, 1)
    copy(world, instance, host_port=other.port)
    world.restart()
    assert {row.customer_id: row.port for row in Instance.objects.all()} == {
        "c1": instance.port,
        "c2": other.port,
    }


def test_a_database_restored_from_the_middle_of_an_update_costs_no_later_container(world: World) -> None:
    """Updates that nobody remembers made the one that runs, and removed those of the one carried on."""
    old = world.instance()
    publish(world)
    stop, later = world.engine.stop, list[str]()

    def stop_and_be_replaced(container: str, timeout: int) -> None:
        stop(container, timeout)
        world.engine.stop = stop  # type: ignore[method-assign]
        for name in world.engine.containers:
            world.engine.lose(name)
        spec = old.spec()
        labels = {**spec.labels, OPERATION_LABEL: str(uuid.uuid4())}
        world.engine.images["later"] = image_facts("agent-3")
        later.append(world.engine.create(replace(spec, image="later", labels=labels)))
        world.engine.start(later[0])
        world.engine.stops.clear()

    world.engine.stop = stop_and_be_replaced  # type: ignore[method-assign]
    done = update(world)
    assert (done.status, done.error) == ("rolled_back", "The container name dockmgr-c1 is already in use.")
    health, instance = look(world), in_order(world)
    assert (health.status, health.restarts_used, instance.container_id) == ("healthy", 0, later[0])
    assert (instance.image_id, world.engine.stops) == (NEWEST, {})


def test_what_stands_in_the_way_is_not_stopped_unless_it_may_be_removed(world: World) -> None:
    instance = world.instance()
    world.engine.rename(instance.container_id, previous_name(instance.container_name))
    labels = {**instance.spec().labels, OPERATION_LABEL: str(uuid.uuid4())}
    other = world.engine.create(replace(instance.spec(), image=IMAGE, labels=labels, host_port=0))
    world.engine.start(other)
    assert "dockmgr does not remove what it did not make" in world.restart().error
    facts = world.engine.inspect(other)
    assert facts and facts.state == "running"


def test_a_removal_spares_what_began_after_it_was_asked_for(world: World, instance: Instance) -> None:
    """A database restored from its middle has forgotten that the customer came back since."""
    asked = service.begin_decommission("c1", ASKED, purge_data=True, outside=world.outside)
    world.clock.advance(3600)
    made = copy(world, instance)
    failed = service.run_to_end(asked.pk, world.outside)
    assert (failed.status, "decommission c1 again" in failed.error) == ("failed", True)
    facts = world.engine.inspect(made)
    assert facts and facts.state == "running"
    assert instance.volume_name in world.engine.volumes
    assert world.decommission(purge_data=True).status == "succeeded"
    assert (world.engine.containers, world.engine.volumes) == ([], {})


def test_one_that_ends_and_is_started_again_and_again_can_be_removed(
    world: World, instance: Instance
) -> None:
    asked = service.begin_decommission("c1", ASKED, outside=world.outside)
    world.clock.advance(30)
    copy(world, instance)
    assert service.run_to_end(asked.pk, world.outside).status == "succeeded"
