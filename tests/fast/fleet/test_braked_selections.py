"""An order for many updates: one first, and no further when it or too many others fail."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from instances.containers.facts import ContainerSummary
from instances.fleet import bulk as selections
from instances.fleet.nothing_newer import Answers
from instances.models import Bulk, Health, Instance, Operation
from instances.operations import service
from instances.operations.steps import approval
from tests.factories import ASKED, IMAGE, World, an_order
from tests.fakes.outside import Killed
from tests.fast.updates import NEW, OLD, answers_by_image, publish, steps, update

pytestmark = pytest.mark.django_db


def a_fleet(world: World, number: int, bad: range) -> list[Instance]:
    """Instances on the old image; the new one, in the registry, does not serve those that are bad."""
    instances = [world.instance(f"c{n:02}") for n in range(number)]
    publish(world)
    for n in bad:
        answers_by_image(world, instances[n].port)
    return instances


def carried_out(world: World, verb: str, instances: list[Instance]) -> list[int]:
    """Carry an order out to its end; returns how many operations each turn began."""
    bulk = an_order(verb, [each.pk for each in instances], by="ann", reason="new")
    begun: list[int] = []
    number: int | None = bulk.turn
    while number is not None:
        turn = selections.advance(bulk.pk, number)
        for operation in turn.operations:
            service.run_to_end(operation.pk, world.outside)
        begun.append(len(turn.operations))
        world.clock.advance(selections.BETWEEN_TURNS.total_seconds())
        number = turn.following
    return begun


def ends() -> list[str]:
    return list(Operation.objects.order_by("created_at", "customer_id").values_list("status", flat=True))


def test_the_first_one_that_fails_spares_all_others(world: World) -> None:
    instances = a_fleet(world, 3, bad=range(3))
    carried_out(world, "update", instances)
    order = Bulk.objects.get()
    assert ends() == ["rolled_back"]
    assert (order.pending, order.due_at, len(order.refused)) == ([], None, 2)
    assert set(order.refused.values()) == {"It was not begun. The canary failed."}
    assert not Instance.objects.exclude(image_id=OLD).exists()


def test_later_a_tenth_may_fail_and_no_more(world: World) -> None:
    instances = a_fleet(world, 6, bad=range(1, 6))
    begun = carried_out(world, "update", instances)
    [why] = set(Bulk.objects.get().refused.values())
    assert why.startswith("It was not begun. 4 of 5 updates failed")
    assert (begun, ends()) == ([1, 4, 0], ["succeeded", *["rolled_back"] * 4])


def test_where_all_goes_well_everybody_is_updated(world: World) -> None:
    begun = carried_out(world, "update", a_fleet(world, 6, bad=range(0)))
    assert (begun, set(Instance.objects.values_list("image_id", flat=True))) == ([1, 4, 1], {NEW})


def test_a_healthy_one_with_something_to_do_is_the_first_to_tell(world: World) -> None:
    instances = a_fleet(world, 4, bad=range(0))
    Health.objects.filter(instance=instances[0]).update(status="failed")
    update(world, "c01")  # it runs the new image already
    for each in instances[2:]:
        answers_by_image(world, each.port)
    carried_out(world, "update", instances)
    operations = Operation.objects.filter(request_id__startswith="bulk:").order_by("created_at")
    assert [row.customer_id for row in operations] == ["c01", "c02"]
    assert set(Bulk.objects.get().refused) == {"c00", "c03"}


def test_restarts_are_not_braked(world: World) -> None:
    instances = a_fleet(world, 5, bad=range(0))
    assert carried_out(world, "restart", instances) == [4, 1]


def test_a_registry_is_asked_once_for_all_that_have_nothing_newer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "PORTION", 3)
    instances = [world.instance(f"c{n}") for n in range(6)]
    publish(world, "agent-1")
    begun = carried_out(world, "update", instances)
    assert begun == [1, 0, 0]
    assert world.engine.pulls == [IMAGE]
    rows = list(Operation.objects.order_by("created_at"))
    assert {row.status for row in rows} == {"succeeded"} and len(rows) == 6
    asked, *passed = [([step["detail"] for step in row.steps], row.facts.get("unchanged")) for row in rows]
    assert asked[1] is True and all(each == asked for each in passed)


def test_one_that_is_not_healthy_is_no_canary_while_a_healthy_one_waits(world: World) -> None:
    asked, ill, healthy = a_fleet(world, 3, bad=range(0))
    for each in (asked, ill):
        update(world, each.customer_id)
    Health.objects.filter(instance=ill).update(status="failed")
    Instance.objects.filter(pk=ill.pk).update(env={"API_KEY": "another"})
    carried_out(world, "update", [asked, ill, healthy])
    operations = Operation.objects.filter(request_id__startswith="bulk:").order_by("created_at")
    assert [row.customer_id for row in operations] == ["c00", "c02", "c01"]


def test_of_those_that_are_not_healthy_a_registry_is_asked_once_too(world: World) -> None:
    instances = [world.instance(f"c{n}") for n in range(3)]
    Health.objects.update(status="failed")
    publish(world, "agent-1")
    assert carried_out(world, "update", instances) == [1, 0]
    assert world.engine.pulls == [IMAGE]


def test_of_many_updates_those_that_asked_a_registry_are_unsealed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instances = [world.instance(f"c{n}") for n in range(3)]
    publish(world, "agent-1")
    carried_out(world, "update", instances)
    unsealed: list[str] = []

    def fetched_by(update: Operation) -> dict[str, object]:
        unsealed.append(update.customer_id)
        return {"id": OLD, "ref": IMAGE}

    monkeypatch.setattr(approval, "fetched_by", fetched_by)
    answers = Answers(Operation.objects.order_by("created_at"), world.now)
    assert unsealed == ["c0"]
    assert answers.to(instances[2]) == Operation.objects.get(customer_id="c0").pk


def test_a_slow_engine_makes_more_turns_and_none_that_is_taken_for_lost(world: World) -> None:
    instances = [world.instance(f"c{n}") for n in range(4)]
    publish(world, "agent-1")
    list_containers = world.engine.list_containers

    def slowly() -> list[ContainerSummary]:
        world.clock.advance(11)
        return list_containers()

    world.engine.list_containers = slowly  # type: ignore[method-assign]
    assert carried_out(world, "update", instances) == [1, 0, 0]
    assert Operation.objects.filter(status="succeeded").count() == 4


def test_who_has_something_to_do_all_the_same_is_the_one_canary(world: World) -> None:
    instances = [world.instance(f"c{n}") for n in range(5)]
    publish(world, "agent-1")
    Instance.objects.filter(customer_id__in=["c2", "c4"]).update(env={"API_KEY": "another"})
    began, begun = carried_out(world, "update", instances), Operation.objects.order_by("created_at")
    assert began == [1, 1, 2]
    assert [row.customer_id for row in begun if not row.facts.get("unchanged")] == ["c2", "c4"]
    [canary] = begun.filter(customer_id="c2")
    assert list(steps(canary))[:3] == ["note old", "pull", "verify image"]
    assert {row.status for row in begun} == {"succeeded"}
    assert world.engine.pulls == [IMAGE] * 3


@pytest.mark.parametrize(
    ("changes", "image"),
    [({}, OLD), ({"host": None}, NEW), ({"created_at": datetime(2020, 1, 1, tzinfo=UTC)}, NEW)],
)
def test_an_answer_of_a_registry_is_taken_on_the_same_host_and_soon(
    world: World, changes: dict[str, object], image: str
) -> None:
    for customer_id in ("c1", "c2"):
        world.instance(customer_id)
    publish(world, "agent-1")
    first = update(world, "c1")
    Operation.objects.filter(pk=first.pk).update(**changes)
    publish(world)
    second = service.begin_update("c2", ASKED, told=first.pk, outside=world.outside)
    assert service.run_to_end(second.pk, world.outside).facts["new_image"] == image


def test_who_was_being_passed_by_when_the_process_died_is_seen_to_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instances = [world.instance(f"c{n}") for n in range(5)]
    publish(world, "agent-1")
    order = an_order("update", [each.pk for each in instances])
    [asked] = selections.advance(order.pk, 0).operations
    service.run_to_end(asked.pk, world.outside)
    world.outside.fate.strikes_at(9)
    with pytest.raises(Killed):
        selections.advance(order.pk, 1)
    world.clock.advance(91)
    service.recover(world.outside)
    [left] = selections.take_stalled(world.now)
    assert selections.advance(left.pk, left.turn).following is None
    assert sorted(Operation.objects.values_list("customer_id", "status")) == [
        (each.customer_id, "succeeded") for each in instances
    ]
