"""Start-first updates: the old container serves until the new one is proven on a port of its own."""

from __future__ import annotations

import pytest

from instances.containers.spec import next_name
from instances.errors import EngineUnreachable, PermanentError
from instances.models import Host, Instance, Plan, Port
from instances.operations import service
from tests.factories import World, health_of
from tests.fakes.outside import fails
from tests.fast.updates import (
    NEW,
    OLD,
    answers_by_image,
    begin,
    in_order,
    publish,
    start_first,
    steps,
    update,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(world: World) -> Instance:
    start_first(world)
    publish(world)
    return world.instance()


def never_touched(world: World, old: Instance) -> None:
    instance = in_order(world)
    assert (instance.container_id, instance.port) == (old.container_id, old.port)
    assert old.container_name not in world.engine.stops
    assert health_of(old).status == "healthy"


def test_an_update_moves_the_record_to_a_new_port_and_then_stops_the_old_one(
    world: World, old: Instance
) -> None:
    answered = []

    def look() -> None:
        port = Instance.objects.only("port").get().port or 0
        answered.append(world.engine.listens("", port))
        world.clock.at(0.5, look)

    world.clock.at(0, look)
    done = update(world)
    assert len(answered) > 10
    assert all(answered), "something healthy is at the recorded address at every moment"
    instance = in_order(world)
    assert (done.status, done.image_before, done.image_after) == ("succeeded", OLD, NEW)
    assert (instance.image_id, instance.port != old.port) == (NEW, True)
    assert list(steps(done)) == [
        "note old", "pull", "verify image", "reserve port", "create next", "start next", "wait until healthy",
        "watch", "write down", "drain", "stop old", "remove old", "free old port", "name next",
        "see running",
    ]  # fmt: skip
    Host.objects.update(last_port=(old.port or 0) + 1)
    publish(world, "agent-3")
    assert update(world).status == "succeeded"
    assert in_order(world).port == old.port, "it is free again"


def test_an_unhealthy_image_never_touches_the_old_container(world: World, old: Instance) -> None:
    answers_by_image(world, (old.port or 0) + 1)
    done = update(world)
    assert (done.status, done.image_after) == ("rolled_back", OLD)
    never_touched(world, old)
    assert in_order(world).failed_images == [NEW]


def test_an_image_that_dies_while_it_is_watched_never_touches_the_old_container(
    world: World, old: Instance
) -> None:
    name = next_name(old.container_name)
    world.clock.at(4, lambda: world.engine.change(name, state="exited", exit_code=7, restart_policy="no"))
    done = update(world)
    assert (done.status, steps(done)["watch"]) == ("rolled_back", "failed")
    assert done.facts["failed_container"]["exit_code"] == 7
    never_touched(world, old)


def test_an_update_that_can_not_make_the_container_frees_its_port(world: World, old: Instance) -> None:
    world.engine.fail_next("create", PermanentError("No."))
    assert update(world).status == "failed"
    never_touched(world, old)
    assert Port.objects.count() == 1


def test_ports_others_hold_on_the_host_are_passed_over(world: World, old: Instance) -> None:
    assert old.port
    for number in (old.port + 1, old.port + 2):
        world.engine.taken_ports.add((world.host.bind_address, number))
    assert update(world).status == "succeeded"
    assert in_order(world).port == old.port + 3


def test_a_host_without_a_free_port_is_a_failure_with_a_sentence(world: World, old: Instance) -> None:
    assert old.port
    world.host.last_port = old.port
    world.host.save()
    done = update(world)
    assert (done.status, "no free port" in done.error) == ("failed", True)
    never_touched(world, old)


def test_past_the_point_of_no_return_an_update_is_finished_however_long_it_takes(
    world: World, old: Instance
) -> None:
    for _ in range(8):
        world.engine.fail_next("stop", EngineUnreachable("It is gone."))
    answers_by_image(world, old.port, bad=OLD, answer=fails)
    assert update(world).status == "succeeded"
    assert in_order(world).image_id == NEW


def test_a_changed_plan_does_not_change_an_update_that_has_begun(world: World, old: Instance) -> None:
    operation = begin(world)
    old.plan.update_strategy = "recreate"
    old.plan.save()
    done = service.run_to_end(operation.pk, world.outside)
    assert "drain" in steps(done)
    assert in_order(world).image_id == NEW


@pytest.mark.parametrize(
    ("taken", "bad", "status"),
    [((2,), "", "succeeded"), ((1, 2), NEW, "rolled_back")],
)
def test_a_port_that_the_plan_comes_to_publish_meanwhile_stays_reserved(
    world: World, old: Instance, taken: tuple[int, ...], bad: str, status: str
) -> None:
    assert old.port
    for number in taken:
        world.engine.taken_ports.add((world.host.bind_address, old.port + number))
    for number in range(1, 8):
        answers_by_image(world, old.port + number, bad=bad)
    operation = begin(world)
    Plan.objects.update(options={"ports": ["9090/tcp"]})
    assert service.run_to_end(operation.pk, world.outside).status == status
    instance = Instance.objects.get()
    facts = world.engine.inspect(instance.container_id)
    assert facts and instance.port
    published = {number for _, number in facts.ports.values()}
    [further] = instance.further_ports.values()
    reserved = set(Port.objects.filter(instance=instance).values_list("number", flat=True))
    assert reserved == {instance.port, further} == published | {further}
    assert not {further, instance.port} & {old.port + number for number in taken}
