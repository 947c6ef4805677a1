"""A host that comes and goes for hours: told a few times, then once until it has stayed well."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from instances.alerts.notify import enqueue_notifications
from instances.incidents.deadlines import apply_due
from instances.incidents.hosts import engines_out_of_reach, healing_held
from instances.models import Incident, Notification
from instances.monitoring import hosts
from instances.monitoring.loop import resolution
from tests.factories import World
from tests.fast.telling import HOUR, a_channel, outbox

pytestmark = pytest.mark.django_db
EVERY, AWAY = 300, 60  # seconds: each five minutes it is gone for one


@pytest.fixture(autouse=True)
def numbers(settings: Settings) -> None:
    settings.HOST_ASK_INTERVAL, settings.HOST_INTERVAL, settings.HOST_GRACE = 10, 60, 120
    settings.REOPEN_WITHIN, settings.FLAPS_ALLOWED, settings.FLAP_WINDOW = 600, 3, 3600
    settings.FLAPPING_CLEAN, settings.REMIND_CRITICAL = 900, 3600
    a_channel(min_level="warning")


def pass_time(world: World, seconds: int, *, comes_and_goes: bool) -> None:
    for second in range(0, seconds, 10):
        world.engine.unreachable = comes_and_goes and second % EVERY < AWAY
        hosts.ask_due(world.outside)
        apply_due(world.now, resolution)
        if enqueue_notifications(world.now):
            Notification.objects.update(sent_at=world.now)
        world.clock.advance(10)


def told() -> list[str]:
    return [line.split()[1] for line in outbox()]


def test_a_host_that_comes_and_goes_is_told_a_few_times_and_then_reminded_of(world: World) -> None:
    world.instance()
    pass_time(world, HOUR + EVERY * 4, comes_and_goes=True)
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
