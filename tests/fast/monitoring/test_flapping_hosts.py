"""A host that comes and goes for hours: told a few times, then once until it has stayed well."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings

from instances.admin.host_load import loads
from instances.alerts.notify import enqueue_notifications
from instances.checks.record import record
from instances.incidents.deadlines import apply_due
from instances.incidents.hosts import (
    engines_out_of_reach,
    healing_held,
    in_wave,
    left_alone,
    suspect,
    unsettled_hosts,
)
from instances.models import Host, HostWatch, Incident, Instance, Notification
from instances.monitoring import hosts
from instances.monitoring.fleet import SelfTest, judge_fleet
from instances.monitoring.loop import resolution
from tests.factories import World, a_check, a_failure
from tests.fakes.outside import fails, passes
from tests.fast.telling import HOUR, a_channel, outbox

pytestmark = pytest.mark.django_db
STEP = 30  # seconds between two turns
EVERY, AWAY = 5 * STEP, 2 * STEP  # it is gone for two turns of five
GRACE, WINDOW, CLEAN = 2 * STEP, 2 * STEP, 10 * STEP


@pytest.fixture(autouse=True)
def numbers(settings: Settings) -> None:
    settings.HOST_ASK_INTERVAL, settings.HOST_INTERVAL, settings.HOST_GRACE = STEP, STEP, GRACE
    settings.REOPEN_WITHIN, settings.FLAPS_ALLOWED, settings.FLAP_WINDOW = 600, 2, 3600
    settings.FLAPPING_CLEAN, settings.REMIND_CRITICAL = CLEAN, 3600
    settings.WAVE_LEAST, settings.WAVE_WINDOW = 2, WINDOW
    a_channel(min_level="warning")


def pass_time(world: World, seconds: int, *, comes_and_goes: bool = False) -> None:
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


def own_incident() -> Incident:
    return Incident.objects.open().get(key="host:local")


def test_a_host_that_comes_and_goes_is_told_a_few_times_then_reminded_of_until_it_has_stayed_well(
    world: World, settings: Settings
) -> None:
    settings.REMIND_CRITICAL = EVERY
    instance = world.instance()
    pass_time(world, 3 * EVERY + AWAY, comes_and_goes=True)
    assert told() == ["opened", "summary"] * 2 + ["flapping", "reminder"]
    message = Notification.objects.get(kind="flapping").payload
    assert message["title"] == "Host local is in trouble again and again"
    assert message["message"].startswith("Host local has been in trouble again and again since 12:05:")
    assert healing_held(instance, world.now)
    settings.REMIND_CRITICAL = HOUR
    pass_time(world, CLEAN)
    assert told()[6:] == []
    pass_time(world, STEP)
    assert told()[6:] == ["summary"]
    assert not Incident.objects.open().exists()


def a_flapping_host(world: World, customers: int = 3) -> list[Instance]:
    """It has come and gone for a while, which was told, and is found to be well again a moment ago."""
    there = [world.instance(f"c{number}") for number in range(customers)]
    world.host_incident(flapping=True)
    pass_time(world, STEP)
    assert (told(), own_incident().resolve_at is not None) == (["flapping"], True)
    return there


def test_its_instances_are_healed_at_once_and_told_of_after_the_usual_grace(world: World) -> None:
    [instance] = a_flapping_host(world, 1)
    world.incident(instance)
    pass_time(world, GRACE - STEP)
    assert (healing_held(instance, world.now), engines_out_of_reach(), told()) == (False, {}, ["flapping"])
    pass_time(world, 2 * STEP)
    assert outbox()[1:] == ["ops opened warning c0"]


def fail(world: World, instances: list[Instance]) -> None:
    for _ in range(3):
        world.clock.advance(1)
        record([a_failure(world, instance) for instance in instances], world.now)


def recover(world: World, instances: list[Instance]) -> None:
    for _ in range(2):
        world.clock.advance(1)
        record([a_check(world, instance) for instance in instances], world.now)


def last_told(before: int) -> list[str]:
    return [f"{row.kind}: {row.payload['message']}" for row in Notification.objects.order_by("created_at")][
        before:
    ]


def test_a_wave_on_a_host_that_is_well_again_is_told_and_healed_as_one(world: World) -> None:
    there = a_flapping_host(world)
    pass_time(world, GRACE)
    over = own_incident().resolve_at
    fail(world, there[:2])
    pass_time(world, 2 * STEP)
    [told_of] = last_told(1)
    assert told_of.startswith("opened: Host local answers, but has had a wave of failures since")
    assert "2 of 3 instances of host local failed within 60 s" in told_of
    assert (in_wave(world.host.pk), healing_held(there[0], world.now)) == (True, False)
    assert (own_incident().resolve_at, own_incident().cause) == (over, "engine")
    assert [load.trouble for load in loads()] == ["answers_but_many_fail"]
    recover(world, there[:2])
    pass_time(world, WINDOW + GRACE)
    assert told()[1:] == ["opened", "summary"]
    assert (in_wave(world.host.pk), own_incident().resolve_at) == (False, over)
    pass_time(world, CLEAN - GRACE - WINDOW)
    assert told()[1:] == ["opened", "summary", "summary"]
    assert not Incident.objects.open().exists()


def test_what_failed_together_in_the_usual_grace_is_told_as_one_when_that_is_over(world: World) -> None:
    there = a_flapping_host(world)
    fail(world, there[:2])
    pass_time(world, GRACE - STEP)
    assert (told()[1:], in_wave(world.host.pk)) == ([], False)
    pass_time(world, 2 * STEP)
    [told_of] = last_told(1)
    assert "2 of 3 instances of host local failed within" in told_of


def test_fewer_than_a_wave_are_told_one_by_one_after_the_usual_grace(world: World) -> None:
    there = a_flapping_host(world)
    fail(world, there[:1])
    pass_time(world, GRACE + STEP)
    assert outbox()[1:] == ["ops opened warning c0"]
    assert not in_wave(world.host.pk)


def test_a_host_that_is_away_again_in_a_wave_holds_all_back_and_is_told_no_second_time(world: World) -> None:
    there = a_flapping_host(world)
    pass_time(world, GRACE)
    fail(world, there[:2])
    pass_time(world, STEP)
    assert told()[1:] == ["opened"]
    pass_time(world, AWAY, comes_and_goes=True)
    assert healing_held(there[0], world.now)
    back = world.now
    pass_time(world, STEP)
    assert own_incident().resolve_at == back + timedelta(seconds=CLEAN)
    assert own_incident().down_since is not None
    recover(world, there[:2])
    pass_time(world, GRACE + STEP)
    assert told()[2:] == ["summary"]
    assert Incident.objects.open().get() == own_incident()
    pass_time(world, CLEAN - GRACE)
    assert told()[2:] == ["summary", "summary"]


def test_waves_that_come_and_go_there_flap_by_themselves(world: World, settings: Settings) -> None:
    settings.FLAPPING_CLEAN, settings.FLAPS_ALLOWED = HOUR, 1
    there = a_flapping_host(world)
    pass_time(world, GRACE + STEP)
    for _ in range(3):
        fail(world, there[:2])
        pass_time(world, STEP)
        recover(world, there[:2])
        pass_time(world, WINDOW + GRACE)
    kinds = [line.split()[1:] for line in outbox(incident__kind="host")[1:]]
    of_wave = [("opened", "critical"), ("summary", "info"), ("flapping", "critical")]
    assert kinds == [[kind, level, "wave:local"] for kind, level in of_wave]


def test_a_host_that_is_away_for_the_first_time_costs_no_look_for_such_a_wave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(hosts, "judge_wave", lambda host_id, now: looks.append(host_id))
    world.instance()
    pass_time(world, AWAY + STEP, comes_and_goes=True)
    assert own_incident().resolve_at is not None
    assert looks == []
    Incident.objects.update(flapping=True)
    pass_time(world, STEP)
    assert looks == [world.host.pk]


def test_what_else_is_looked_at_there_is_looked_at_as_anywhere(world: World) -> None:
    a_flapping_host(world, 1)
    assert unsettled_hosts().exists()
    pass_time(world, GRACE + STEP)
    assert own_incident().is_open
    assert not unsettled_hosts().exists()
    assert (own_incident().down_since, own_incident().downtime) != (None, 0)
    suspect([world.host.pk], world.now)
    HostWatch.objects.update(failures=1)
    assert hosts.in_doubt(world.now)


def test_half_of_all_hosts_that_come_and_go_are_told_as_one_that_does(
    world: World, settings: Settings
) -> None:
    settings.FLAPPING_CLEAN, settings.FLAPS_ALLOWED = 4 * STEP, 1
    instance = world.instance()
    far = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    world.instance("far", host=far)
    pass_time(world, EVERY + AWAY + STEP, comes_and_goes=True)
    fleet = [line.split()[1] for line in outbox(incident__kind="fleet")]
    assert fleet == ["opened", "resolved", "flapping"]
    assert not healing_held(instance, world.now)
    assert left_alone([instance.pk], world.now) == set()
    pass_time(world, 4 * STEP)
    assert outbox(incident__kind="fleet")[-1] == "ops resolved info fleet"
    assert not Incident.objects.open().exists()


def test_a_self_test_that_fails_holds_healing_also_where_hosts_come_and_go(world: World) -> None:
    instance = world.instance()
    clean = world.now + timedelta(seconds=60)
    world.large_incident("fleet", "self_test", flapping=True, resolve_at=clean)
    assert healing_held(instance, world.now)


def test_a_self_test_that_fails_after_half_of_all_hosts_came_and_went_is_told_and_holds_healing(
    world: World,
) -> None:
    instance = world.instance()
    in_vain = world.large_incident("fleet", "hosts", flapping=True)
    pass_time(world, STEP)
    assert in_vain.flapping
    assert not healing_held(instance, world.now)
    world.probe.of_itself = fails("timeout")
    test, before = SelfTest(world.outside), len(told())
    for _ in range(3):
        test.run()
        enqueue_notifications(world.now)
    assert healing_held(instance, world.now)
    assert outbox()[before:] == ["ops opened critical fleet:self_test"]
    world.probe.of_itself = passes()
    pass_time(world, 120)
    assert not healing_held(instance, world.now)
    assert Incident.objects.open().get() == in_vain
