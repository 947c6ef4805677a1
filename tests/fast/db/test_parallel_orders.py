"""Orders for new instances that come at the same moment: no host takes more than it may, all are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from instances.alerts import mute
from instances.errors import RequestError
from instances.models import Host, Instance, Mute, Operation, Port
from instances.operations import service
from instances.operations.placement import Placement
from tests.factories import ASKED, World
from tests.fast.side_by_side import side_by_side

pytestmark = pytest.mark.django_db(transaction=True)


def orders(world: World, number: int, **changes: object) -> list[Callable[[], object]]:
    def order(customer_id: str) -> Callable[[], object]:
        return lambda: service.begin_provision(world.order(customer_id, **changes), ASKED, world.outside)

    return [order(f"n{place}") for place in range(number)]


def spread() -> dict[str, int]:
    return dict(Counter(Instance.objects.values_list("host__name", flat=True)))


@pytest.mark.parametrize("changes", [{}, {"host": "local"}])
def test_a_host_takes_no_more_than_it_may(world: World, changes: dict[str, object]) -> None:
    Host.objects.update(max_instances=3)
    refused = side_by_side(*orders(world, 5, **changes))
    assert spread() == {"local": 3}
    assert [type(error) for error in refused] == [RequestError] * 2
    assert all("room" in str(error) for error in refused)
    assert Operation.objects.count() == Port.objects.count() == 3


def test_a_host_promises_no_more_memory_than_it_may(world: World) -> None:
    memory = world.plan.memory
    Host.objects.update(max_memory=memory * 2, overcommit=1.5)
    refused = side_by_side(*orders(world, 5))
    assert (spread(), len(refused)) == ({"local": 3}, 2)
    assert all("has promised" in str(error) for error in refused)


def test_a_cordoned_host_gets_none_and_it_is_said_why(world: World) -> None:
    Host.objects.update(cordoned=True)
    for changes, sentence in (
        ({}, "No host has room for another instance: local is cordoned."),
        ({"host": "local"}, "Host local has no room: it is cordoned."),
    ):
        [error] = side_by_side(*orders(world, 1, **changes))
        assert str(error) == sentence
    Host.objects.create(name="b", docker_url="unix:///fake/b.sock")
    assert side_by_side(*orders(world, 3)) == []
    assert spread() == {"b": 3}


def test_parallel_orders_use_all_hosts_alike(world: World) -> None:
    for name in ("b", "c"):
        Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
    assert side_by_side(*orders(world, 6)) == []
    assert spread() == {"local": 2, "b": 2, "c": 2}


def test_who_has_looked_for_a_better_host_often_enough_takes_any(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("instances.operations.placement.CHOICES", 2)
    better = Host.objects.create(name="b", docker_url="unix:///fake/b.sock")
    world.instance()
    placement = Placement(None, world.outside, world.plan.memory)
    with transaction.atomic():
        assert placement.choose() == better
        assert [placement.take(world.host) for _ in range(4)] == [False, True, True, True]


def test_when_a_host_is_full_the_next_one_is_taken(world: World) -> None:
    Host.objects.update(max_instances=1)
    Host.objects.create(name="large", docker_url="unix:///fake/large.sock", max_instances=3)
    assert side_by_side(*orders(world, 4)) == []
    assert spread() == {"local": 1, "large": 3}


def test_processes_that_ask_no_engine_spread_their_orders_too(world: World) -> None:
    Host.objects.create(name="b", docker_url="unix:///fake/b.sock")
    for host in world.outside.hosts.values():
        host.unreachable = True
    calls = [
        lambda name=f"n{place}": service.begin_provision(
            world.order(name), ASKED, world.outside, ask_engines=False
        )
        for place in range(4)
    ]
    assert side_by_side(*calls) == []
    assert spread() == {"local": 2, "b": 2}


def test_of_mutes_that_come_at_once_one_is_in_force(world: World) -> None:
    scope = mute.scope(host="local")

    def for_hours(hours: int) -> Callable[[], object]:
        now, until = world.now + timedelta(microseconds=hours), world.now + timedelta(hours=hours)
        return lambda: mute.mute(scope, until, now, by="tests")

    assert side_by_side(*(for_hours(hours) for hours in range(1, 7))) == []
    assert Mute.objects.filter(until__gt=world.now + timedelta(seconds=1)).count() == 1


def test_a_mute_of_what_is_gone_is_refused_in_a_sentence(world: World) -> None:
    instance = world.instance()
    scope = mute.scope(customer_id="c1")
    instance.delete()
    with pytest.raises(RequestError, match="The instance c1 was removed meanwhile"):
        mute.mute(scope, world.now + timedelta(hours=1), world.now, by="tests")
