"""An operation that does not come to its end is told once, and that it is over as well."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from instances.alerts.notify import enqueue_notifications
from instances.models import Channel, Incident, Notification, Operation
from instances.monitoring.loop import Monitor
from instances.monitoring.operations import judge_operations
from instances.operations import service
from instances.operations.abandon import abandon
from instances.operations.requester import Requester
from tests.factories import World
from tests.fast.updates import answers_by_image, begin, publish

pytestmark = pytest.mark.django_db

MINUTES = 30


@pytest.fixture
def operation(world: World) -> Operation:
    Channel.objects.create(name="ops", url="json://example.com", customers=["c1"])
    Channel.objects.create(name="other", url="json://example.com", customers=["c2"])
    world.instance()
    return begin(world)


def look(world: World) -> list[Incident]:
    """What is open after a round of watching."""
    world.clock.advance(10)
    Monitor(world.outside).tick()
    return list(Incident.objects.open().filter(kind="operation"))


def told() -> list[tuple[str, str, str]]:
    rows = Notification.objects.order_by("created_at")
    return [(row.channel.name, row.kind, row.level) for row in rows]


def test_one_that_is_open_for_half_an_hour_is_told_once(world: World, operation: Operation) -> None:
    world.clock.advance(MINUTES * 60 - 30)
    assert look(world) == []
    world.clock.advance(30)
    [incident] = look(world)
    assert (incident.key, incident.severity, incident.customer_id) == (
        f"operation:{operation.pk}", "critical", "c1",
    )  # fmt: skip
    assert incident.host == world.host
    since = f"{operation.created_at:%d %b %H:%M:%S} UTC"
    assert incident.message == f"The update of c1 is open since {since}, nobody has begun it"
    assert look(world) == [incident]
    assert told() == [("ops", "opened", "critical")]
    [document] = Notification.objects.values_list("payload", flat=True)
    assert document["title"] == "A change of c1 is in trouble"


def test_it_is_over_when_the_operation_ends(world: World, operation: Operation) -> None:
    world.clock.advance(MINUTES * 60)
    assert len(look(world)) == 1
    abandon(str(operation.pk), Requester("me", "enough"), world.outside)
    assert look(world) == []
    assert told() == [("ops", "opened", "critical"), ("ops", "resolved", "info")]


def test_one_whose_step_fails_again_and_again_is_told_long_before(world: World, operation: Operation) -> None:
    publish(world)
    answers_by_image(world, world.host.first_port)
    world.clock.at(1, lambda: setattr(world.engine, "unreachable", True))
    seen = []
    for _ in range(8):
        service.carry_on(operation, world.outside)
        world.clock.advance(90)
        seen.append((Operation.objects.get().tries, len(look(world))))
    assert seen == [(tries, 0) for tries in (1, 2, 3, 1, 2, 3, 4)] + [(5, 1)]
    assert "at the step undo start next" in Incident.objects.get(kind="operation").message
    world.engine.unreachable = False
    assert service.run_to_end(operation.pk, world.outside).status == "rolled_back"
    assert look(world) == []


def test_while_its_hosts_trouble_is_known_nothing_is_sent_for_it(world: World, operation: Operation) -> None:
    world.host_incident()
    Incident.objects.update(notify_at=None)
    world.clock.advance(MINUTES * 60)
    assert len(look(world)) == 1
    enqueue_notifications(world.now)
    assert told() == []


def test_looking_costs_two_queries_where_all_is_well(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        judge_operations(world.now)
