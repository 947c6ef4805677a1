"""A host that comes and goes for hours: told a few times, then once until it has stayed well."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from instances.alerts.notify import enqueue_notifications
from instances.incidents.deadlines import apply_due
from instances.incidents.hosts import engines_out_of_reach, healing_held, left_alone
from instances.models import Host, Incident, Notification
from instances.monitoring import hosts
from instances.monitoring.fleet import judge_fleet
from instances.monitoring.loop import resolution
from tests.factories import World
from tests.fast.telling import HOUR, a_channel, outbox

pytestmark = pytest.mark.django_db
EVERY, AWAY = 300, 60  # seconds: it is gone for one minute in five
STEP = 30  # seconds between two turns


@pytest.fixture(autouse=True)
def numbers(settings: Settings) -> None:
    settings.HOST_ASK_INTERVAL, settings.HOST_INTERVAL, settings.HOST_GRACE = STEP, STEP, 120
    settings.REOPEN_WITHIN, settings.FLAPS_ALLOWED, settings.FLAP_WINDOW = 600, 3, 3600
    settings.FLAPPING_CLEAN, settings.REMIND_CRITICAL = 900, 3600
    a_channel(min_level="warning")


def pass_time(world: World, seconds: int, *, comes_and_goes: bool) -> None:
    for second in range(0, seconds, STEP):
        for engine in world.outside.hosts.values():
            engine.unreachable = comes_and_goes and second % EVERY < AWAY
        hosts.ask_due(world.outside)
        judge_fleet(world.now)
        apply_due(world.now, resolution)
        if enqueue_notifications(world.now):
            Notification.objects.update(sent_at=world.now)
        world.clock.advance(STEP)


def told() -> list[str]:
    return [line.split()[1] for line in outbox()]


def test_a_host_that_comes_and_goes_is_told_a_few_times_and_then_reminded_of(
    world: World, settings: Settings
) -> None:
    settings.REMIND_CRITICAL = HOUR // 2
    world.instance()
    pass_time(world, HOUR // 2 + EVERY * 4, comes_and_goes=True)
    assert told() == ["opened", "summary"] * 3 + ["flapping"] + ["reminder"]
    message = Notification.objects.get(kind="flapping").payload
    assert message["title"] == "Host local is in trouble again and again"
    assert message["message"].startswith("Host local has been in trouble again and again since 12:15:")


def test_its_end_is_told_when_it_has_stayed_well(world: World) -> None:
    world.instance()
    pass_time(world, EVERY * 5, comes_and_goes=True)
    pass_time(world, 640, comes_and_goes=False)
    assert told()[-1] == "flapping"
    pass_time(world, 60, comes_and_goes=False)
    assert told()[-1] == "summary"
    assert not Incident.objects.open().exists()


def test_meanwhile_instances_are_healed_at_once_and_told_of_after_the_usual_grace(world: World) -> None:
    instance = world.instance()
    pass_time(world, EVERY * 5, comes_and_goes=True)  # well again for four minutes
    pass_time(world, 20, comes_and_goes=False)
    assert (healing_held(instance, world.now), engines_out_of_reach()) == (False, {})
    world.incident(instance)
    pass_time(world, 60, comes_and_goes=False)
    assert outbox()[-1] == "ops opened warning c1"


def test_it_holds_back_its_instances_while_it_is_away_and_for_the_usual_grace(world: World) -> None:
    instance = world.instance()
    pass_time(world, EVERY * 4 + AWAY + 20, comes_and_goes=True)
    world.incident(instance)
    pass_time(world, 80, comes_and_goes=False)
    assert told()[-1] == "flapping"


def test_one_that_is_lost_less_often_is_told_each_time(world: World) -> None:
    world.instance()
    pass_time(world, EVERY * 3, comes_and_goes=True)
    assert told() == ["opened", "summary"] * 3


def test_half_of_all_hosts_that_come_and_go_are_told_as_one_that_does(world: World) -> None:
    instance = world.instance()
    for name in ("far", "away"):
        host = Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
        world.instance(name, host=host)
    pass_time(world, EVERY * 5, comes_and_goes=True)
    fleet = [line.split()[1] for line in outbox(incident__kind="fleet")]
    assert fleet == ["opened", "resolved"] * 3 + ["flapping"]
    assert not healing_held(instance, world.now)
    assert left_alone([instance.pk], world.now) == set()
    pass_time(world, 900, comes_and_goes=False)
    assert outbox(incident__kind="fleet")[-1] == "ops resolved info fleet"
    assert not Incident.objects.open().exists()


def test_a_self_test_that_fails_holds_healing_also_where_hosts_come_and_go(world: World) -> None:
    instance = world.instance()
    clean = world.now + timedelta(seconds=60)
    world.large_incident("fleet", "self_test", flapping=True, resolve_at=clean)
    assert healing_held(instance, world.now)
