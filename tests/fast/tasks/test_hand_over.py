"""What no worker has begun is handed to the workers once, and again only when its message is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from instances.fleet import bulk as bulk_changing
from instances.models import Bulk, Operation
from instances.operations import service
from instances.operations.hand_over import take_to_hand_over
from instances.operations.journal import Journal
from tasks import maintenance, operations
from tests.factories import ASKED, World, an_order
from tests.fast.conftest import Message

pytestmark = pytest.mark.django_db
Sent = Callable[[str], list[Message]]


@pytest.fixture
def three(world: World) -> World:
    """Orders that nobody has told the workers of yet."""
    for number in range(3):
        world.instance(f"c{number}")
        service.begin_restart(f"c{number}", ASKED, world.outside)
    return world


def recover_for(world: World, seconds: int, every: int) -> None:
    """The clockwork of three workers, every few seconds."""
    for _ in range(seconds // every):
        world.clock.advance(every)
        for _ in range(3):
            maintenance.recover()


def waiting(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(maintenance, "queue_lengths", lambda: {"operations": number})


def handed(sent: Sent) -> list[str]:
    return [message.kwargs["operation_id"] for message in sent("operations")]


@pytest.mark.parametrize("asked", ["can be asked", "can not"])
def test_half_an_hour_without_a_worker_costs_one_message_each(
    three: World, sent: Sent, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """The queue is believed where it can't be asked."""
    if asked == "can be asked":
        waiting(monkeypatch, 3)
    recover_for(three, 1800, every=600)
    told = handed(sent)
    assert (len(told), len(set(told))) == (3, 3)


def test_what_was_published_when_it_was_ordered_is_not_published_again(
    three: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(monkeypatch, 3)
    for operation in Operation.objects.all():
        operations.enqueue(operation)
    recover_for(three, 600, every=200)
    assert len(handed(sent)) == 3


def test_a_message_the_broker_lost_is_sent_again_with_growing_patience(
    world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(monkeypatch, 0)
    world.instance()
    operations.enqueue(service.begin_restart("c1", ASKED, world.outside))
    told = []
    for seconds in (50, 50, 50, 100, 200):
        recover_for(world, seconds, every=50)
        told.append(len(handed(sent)))
    assert told == [1, 1, 0, 1, 1]


def test_a_holder_that_died_is_followed_by_one_message(
    world: World, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(monkeypatch, 5)
    world.instance()
    operations.enqueue(service.begin_restart("c1", ASKED, world.outside))
    assert Journal.claim(Operation.objects.get().pk, world.clock)
    sent("operations")
    recover_for(world, 600, every=50)
    [identity] = handed(sent)
    operations.carry_on(identity)
    assert Operation.objects.get().status == "succeeded"


def test_a_message_for_what_somebody_is_at_is_dropped(world: World, sent: Sent) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    assert Journal.claim(operation.pk, world.clock)
    operations.carry_on.apply(kwargs={"operation_id": str(operation.pk)}, throw=True)
    assert handed(sent) == []
    assert Operation.objects.get().status == "running"


def test_of_two_processes_that_see_it_one_hands_it_over(world: World) -> None:
    world.instance()
    operation = service.begin_restart("c1", ASKED, world.outside)
    again = Operation.objects.get()
    assert take_to_hand_over(operation, world.now)
    assert not take_to_hand_over(again, world.now)


def test_what_was_begun_meanwhile_is_not_taken_away(world: World) -> None:
    world.instance()
    seen = service.begin_restart("c1", ASKED, world.outside)
    assert Journal.claim(seen.pk, world.clock)
    assert not take_to_hand_over(seen, world.now)
    assert Operation.objects.get().lease_owner


def test_a_stalled_selection_is_taken_once_a_minute(world: World) -> None:
    an_order("restart", [world.instance().pk], by="ann", reason="to see")
    world.clock.advance(61)
    assert [len(bulk_changing.take_stalled(world.now)) for _ in range(3)] == [1, 0, 0]
    assert Bulk.objects.get().due_at == world.now
    assert bulk_changing.take_stalled(world.now + timedelta(seconds=61))


def test_a_selection_that_is_due_too_far_ahead_is_carried_on(world: World) -> None:
    """A clock that ran fast wrote that, and the worker of its turn died."""
    order = an_order("pause", [world.instance().pk])
    Bulk.objects.filter(pk=order.pk).update(due_at=world.now + timedelta(hours=2))
    assert bulk_changing.take_stalled(world.now) == [order]
    assert bulk_changing.take_stalled(world.now) == []
