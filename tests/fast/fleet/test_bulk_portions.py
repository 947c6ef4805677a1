"""Orders for many instances commit as they go: what is done stays done, the rest is taken up again."""

from __future__ import annotations

import uuid

import pytest
from django.db import transaction

from instances.errors import BusyError
from instances.fleet import bulk
from instances.models import Bulk, Health, Instance, Operation
from instances.operations import service
from instances.operations.requester import Requester
from tests.factories import World, an_order
from tests.fakes.outside import Killed

pytestmark = pytest.mark.django_db


def order_for(world: World, verb: str, number: int = 6) -> Bulk:
    return an_order(verb, [world.instance(f"c{place}").pk for place in range(number)])


def statuses() -> list[str]:
    return list(Health.objects.order_by("instance__customer_id").values_list("status", flat=True))


def killed_at(monkeypatch: pytest.MonkeyPatch, customer_id: str) -> None:
    """The process dies when it comes to this customer."""
    begin = bulk._begin

    def dying(order: Bulk, instance: Instance, told: uuid.UUID | None) -> list[Operation]:
        if instance.customer_id == customer_id:
            monkeypatch.setattr(bulk, "_begin", begin)
            raise Killed
        return begin(order, instance, told)

    monkeypatch.setattr(bulk, "_begin", dying)


def test_an_order_whose_process_died_keeps_what_was_done_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PORTION", 2)
    order = order_for(world, "pause")
    killed_at(monkeypatch, "c3")
    with pytest.raises(Killed):
        bulk.advance(order.pk, 0)
    assert statuses() == ["paused"] * 3 + ["healthy"] * 3
    order.refresh_from_db()
    assert (len(order.pending), order.turn) == (4, 1)
    assert bulk.advance(order.pk, 0) == bulk.Turn()
    world.clock.advance(63)
    assert bulk.take_stalled(world.now) == [order]
    assert bulk.advance(order.pk, order.turn) == bulk.Turn()
    assert statuses() == ["paused"] * 6
    order.refresh_from_db()
    assert (order.pending, order.due_at) == ([], None)


def test_a_restart_that_was_begun_before_the_process_died_is_not_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_for(world, "restart", 3)
    killed_at(monkeypatch, "c2")
    with pytest.raises(Killed):
        bulk.advance(order.pk, 0)
    joined = bulk.advance(order.pk, 1)
    assert [operation.customer_id for operation in joined.operations] == ["c0", "c1"]
    assert [operation.customer_id for operation in bulk.advance(order.pk, 2).operations] == ["c2"]
    assert Operation.objects.count() == 3


def test_no_transaction_spans_more_than_one_instance(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_for(world, "pause", 3)
    pause, depth = service.pause, []

    def paused(customer_id: str, requester: Requester) -> Instance:
        depth.append(len(transaction.get_connection().savepoint_ids))
        if customer_id == "c1":
            raise BusyError("c1 is being changed.")
        return pause(customer_id, requester)

    monkeypatch.setattr(service, "pause", paused)
    bulk.advance(order.pk, 0)
    assert set(depth) == {0}
    assert statuses() == ["paused", "healthy", "paused"]
    order.refresh_from_db()
    assert order.refused == {"c1": "c1 is being changed."}
