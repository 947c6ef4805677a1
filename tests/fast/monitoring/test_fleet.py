"""When it is not the instances: half of the hosts are bad, or dockmgr can look at nothing."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from instances.http.probe import probe
from instances.incidents import deadlines, lifecycle
from instances.models import Health, Host, Incident, Instance
from instances.monitoring.fleet import SelfTest, judge_fleet, probe_oneself
from instances.operations.procedures import restart
from instances.operations.requester import Requester
from instances.outside import Outside
from tests.factories import World
from tests.fakes.outside import fails, passes

pytestmark = pytest.mark.django_db


def a_host(world: World, name: str, instances: int = 1) -> Host:
    host = Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
    for number in range(instances):
        world.instance(f"{name}-{number}", host=host)
    return host


def fleet() -> Incident | None:
    return Incident.objects.filter(kind="fleet", resolved_at=None).first()


def test_hosts_that_answer_or_are_set_up_wrongly_are_no_part_of_the_alarm(world: World) -> None:
    down, wrong, back, *waves = [a_host(world, f"h{number}") for number in range(5)]
    world.host_incident(down)
    world.host_incident(wrong, cause="configuration")
    for wave in waves:
        world.host_incident(wave, cause="wave")
    incident = world.host_incident(back)
    Incident.objects.filter(pk=incident.pk).update(resolve_at=world.now + timedelta(seconds=120))
    judge_fleet(world.now)
    assert fleet() is None
    Incident.objects.filter(pk=incident.pk).update(resolve_at=None)
    judge_fleet(world.now)
    assert fleet()


def test_waves_on_most_hosts_hold_no_restart_back(world: World) -> None:
    dead = world.instance()
    for host in (world.host, a_host(world, "h2")):
        world.host_incident(host, cause="wave")
    judge_fleet(world.now)
    Health.objects.filter(pk=dead.pk).update(status="unhealthy")
    assert restart.begin_automatic(dead.pk, world.now) is not None


def test_half_of_the_hosts_in_trouble_is_one_alarm_about_the_fleet(world: World) -> None:
    bad, worse, worst, *_ = [a_host(world, f"h{number}") for number in range(4)]
    incident = world.host_incident(bad)
    judge_fleet(world.now)
    assert fleet() is None
    world.host_incident(worse)
    judge_fleet(world.now)
    judge_fleet(world.now)
    alarm = fleet()
    assert alarm and (alarm.key, alarm.severity, alarm.cause) == ("fleet", "critical", "hosts")
    assert alarm.message.startswith("2 of 4 hosts are in trouble")
    assert alarm.notify_at == world.now
    another = world.host_incident(worst)
    judge_fleet(world.now)
    alarm.refresh_from_db()
    assert alarm.message.startswith("3 of 4 hosts are in trouble"), "a reminder says how many are now"
    for over in (incident, another):
        lifecycle.resolve(over, "0 of 1 are down", world.now)
    judge_fleet(world.now)
    assert fleet() is None


@pytest.mark.parametrize("healthy_hosts", [0, 1, 2])
def test_one_host_alone_is_not_the_fleet(world: World, healthy_hosts: int) -> None:
    bad, *_ = [a_host(world, f"h{number}") for number in range(1 + healthy_hosts)]
    world.host_incident(bad)
    judge_fleet(world.now)
    assert fleet() is None


def test_hosts_without_instances_do_not_count(world: World) -> None:
    a_host(world, "good")
    for name in ("empty", "vacant"):
        world.host_incident(a_host(world, name, instances=0))
    judge_fleet(world.now)
    assert fleet() is None


def test_the_incident_of_a_host_that_is_gone_is_closed(world: World) -> None:
    host = a_host(world, "gone", instances=0)
    incident = world.host_incident(host)
    host.delete()
    judge_fleet(world.now)
    incident.refresh_from_db()
    assert incident.resolution == "the host was removed"


def test_nothing_is_restarted_anywhere_while_the_fleet_is_in_trouble(world: World) -> None:
    good = a_host(world, "good")
    incident, _ = [world.host_incident(a_host(world, name)) for name in ("bad", "worse")]
    judge_fleet(world.now)
    well = Instance.objects.get(host=good)
    Health.objects.filter(pk=well.pk).update(status="unhealthy")
    assert restart.begin_automatic(well.pk, world.now) is None
    lifecycle.resolve(incident, "passed", world.now)
    judge_fleet(world.now)
    assert restart.begin_automatic(well.pk, world.now) is not None


def test_a_restart_by_hand_is_allowed_all_the_same(world: World) -> None:
    instance = world.instance()
    world.host_incident(world.host)
    world.host_incident(a_host(world, "other"))
    judge_fleet(world.now)
    assert fleet()
    assert restart.begin(instance, world.now, Requester("ann")).status == "queued"


def test_a_self_test_that_fails_twice_is_an_alarm_that_ends_by_itself(world: World) -> None:
    test = SelfTest(world.outside)
    test.run()
    assert fleet() is None
    world.probe.of_itself = fails("timeout")
    test.run()
    assert fleet() is None
    test.run()
    alarm = fleet()
    assert alarm and (alarm.severity, alarm.cause) == ("critical", "self_test")
    assert alarm.message.startswith("dockmgr's test of itself fails: ")
    world.clock.advance(50)
    test.run()
    world.clock.advance(50)
    deadlines.apply_due(world.now)
    assert fleet()
    world.probe.of_itself = passes()
    test.run()
    world.clock.advance(10)
    deadlines.apply_due(world.now)
    assert fleet() is None


@pytest.mark.parametrize(("name", "seconds"), [("PROBE_TIMEOUT", 300), ("ENGINE_TIMEOUT", 300)])
def test_tests_of_oneself_that_take_long_hold_healing_without_a_gap(
    world: World, settings: Settings, name: str, seconds: int
) -> None:
    setattr(settings, name, seconds)
    world.probe.of_itself = fails("timeout")
    test = SelfTest(world.outside)
    for _ in range(4):
        test.run()
        world.clock.advance(seconds + 10)
        deadlines.apply_due(world.now)
    alarm = fleet()
    assert alarm and alarm.events.filter(kind="resolved").count() == 0


def test_another_process_that_can_look_does_not_end_the_alarm(world: World) -> None:
    world.probe.of_itself = fails("timeout")
    blind, seeing = SelfTest(world.outside), SelfTest(world.outside)
    for _ in range(2):
        blind.run()
    world.probe.of_itself = passes()
    seeing.run()
    judge_fleet(world.now)
    alarm = fleet()
    assert alarm and alarm.resolve_at == world.now + timedelta(seconds=60)


def test_bad_hosts_outrank_a_failing_self_test(world: World) -> None:
    world.probe.of_itself = fails("timeout")
    test = SelfTest(world.outside)
    for _ in range(2):
        test.run()
    for name in ("bad", "worse"):
        world.host_incident(a_host(world, name))
    judge_fleet(world.now)
    test.run()
    alarm = fleet()
    assert alarm and (alarm.cause, alarm.resolve_at) == ("hosts", None)
    assert Incident.objects.filter(kind="fleet").count() == 1


def seeing_with(world: World, prober: Callable[..., Any]) -> Outside:
    return Outside(world.outside.engines, world.clock, prober)


def test_the_real_prober_finds_a_server_of_its_own(world: World) -> None:
    assert probe_oneself(seeing_with(world, probe), 30) == ""


def test_a_prober_that_sees_nothing_is_noticed_and_nobody_waits_for_ever(world: World) -> None:
    began = time.monotonic()
    assert probe_oneself(seeing_with(world, lambda *_: fails("refused")), 60) == fails("refused").error
    assert time.monotonic() - began < 30


def test_having_no_socket_left_is_trouble_of_our_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("instances.monitoring.fleet.socket.create_server", refused)
    assert probe_oneself(world.outside, 5) == "Too many open files."
