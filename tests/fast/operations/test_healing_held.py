"""Nothing is restarted by itself where the host is in trouble or somebody muted; it costs no attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from instances.incidents import hosts
from instances.models import Health, Host, Incident, Instance, Mute, Operation
from instances.operations import service
from instances.operations.procedures import restart
from tests.factories import World, health_of
from tests.fast.monitoring.test_hosts import ask, break_engine

pytestmark = pytest.mark.django_db


def unhealthy(world: World, customer_id: str = "c1") -> Instance:
    return world.instance(customer_id, status="unhealthy", failures=3, down_since=world.now)


def held(world: World, instance: Instance) -> bool:
    """An automatic restart is asked for; either it begins, or it costs nothing and is asked for later."""
    if restart.begin_automatic(instance.pk, world.now) is not None:
        return False
    health = health_of(instance)
    assert (health.status, health.restarts_used) == ("unhealthy", 0)
    assert health.next_check_at == world.now + timedelta(seconds=30)
    assert not Operation.objects.exists()
    return True


def test_nothing_is_restarted_while_the_host_is_in_trouble_and_at_once_when_that_is_over(
    world: World,
) -> None:
    instance = unhealthy(world)
    break_engine(world)
    assert held(world, instance)
    world.engine.unreachable = False
    ask(world, 10)
    assert Incident.objects.open().filter(kind="host").exists(), "its grace holds messages alone"
    assert not held(world, instance)


def test_a_wave_is_healed_one_at_a_time(world: World) -> None:
    """Six of eleven customers broke something of their own; their neighbour was only killed."""
    world.host_incident(cause="wave")
    first, second = unhealthy(world, "c1"), unhealthy(world, "c2")
    begun = restart.begin_automatic(first.pk, world.now)
    assert begun
    assert restart.begin_automatic(second.pk, world.now) is None
    assert health_of(second).next_check_at == world.now + timedelta(seconds=5)
    service.run_to_end(begun.pk, world.outside)
    assert restart.begin_automatic(second.pk, world.now)


def test_in_a_wave_containers_that_ended_come_first(world: World) -> None:
    world.host_incident(cause="wave")
    sick, killed = unhealthy(world, "c1"), unhealthy(world, "c2")
    Health.objects.filter(pk=sick.pk).update(reason="http_503")
    Health.objects.filter(pk=killed.pk).update(reason="exited", checked_at=world.now)
    assert restart.begin_automatic(sick.pk, world.now) is None
    muted = Mute.objects.create(
        instance=killed, starts_at=world.now, until=world.now + timedelta(hours=1), by="ann"
    )
    begun = restart.begin_automatic(sick.pk, world.now)
    assert begun, "what is left alone keeps nobody waiting"
    service.run_to_end(begun.pk, world.outside)
    muted.delete()
    assert restart.begin_automatic(killed.pk, world.now)


def test_other_hosts_are_healed_meanwhile(world: World) -> None:
    far = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    away = world.instance("away", host=far, status="unhealthy", failures=3, down_since=world.now)
    break_engine(world)
    assert not held(world, away)


def test_nothing_is_restarted_where_somebody_muted(world: World) -> None:
    instance = unhealthy(world)
    until = world.now + timedelta(hours=1)
    for scope in ({"instance": instance}, {"host": world.host}, {"plan": world.plan}):
        Mute.objects.all().delete()
        Mute.objects.create(**scope, starts_at=world.now, until=until, by="ann")
        assert held(world, instance)
        assert hosts.left_alone([instance.pk], world.now) == {instance.pk}
    world.clock.advance(3600)
    assert hosts.left_alone([instance.pk], world.now) == set()
    assert not held(world, instance)
