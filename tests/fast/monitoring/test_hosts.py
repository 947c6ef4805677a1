"""Suspected hosts: their engines are asked, and what is the host's trouble is told and healed as such."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.checks.record import record
from instances.engine.certificates import CertificateEnd
from instances.errors import EngineUnusable, PermanentError
from instances.incidents import deadlines, hosts
from instances.incidents.acknowledge import acknowledge
from instances.incidents.hosts import engines_out_of_reach, healing_held
from instances.models import Health, Host, HostWatch, Incident, Instance, Notification
from instances.monitoring import host_answers, host_rules
from instances.monitoring import hosts as host_watching
from instances.monitoring.certificates import judge_certificates
from instances.monitoring.host_answers import Answer
from instances.monitoring.host_rules import HostStep
from instances.monitoring.hosts import ask_due, in_doubt
from instances.monitoring.loop import resolution
from tests.factories import World, a_failure, health_of
from tests.fast.telling import a_channel, told_after

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def numbers(settings: Settings) -> None:
    settings.WAVE_LEAST, settings.WAVE_WINDOW, settings.HOST_GRACE = 3, 60, 60


def ask(world: World, after: float = 0) -> int:
    world.clock.advance(after)
    return ask_due(world.outside)


def ask_for(world: World, seconds: int) -> None:
    """As often as may be, as the watching threads do; deadlines are met on the way."""
    for _ in range(seconds // 10):
        ask(world, 10)
        deadlines.apply_due(world.now, resolution)


def watch_of(world: World) -> HostWatch:
    return HostWatch.objects.get(host=world.host)


def incident_of(world: World) -> Incident:
    return Incident.objects.get(kind="host", host=world.host)


def break_engine(world: World) -> None:
    world.engine.unreachable = True
    hosts.suspect([world.host.pk], world.now)
    ask_for(world, 20)
    assert incident_of(world).is_open


def fail_all(world: World, instances: list[Instance]) -> None:
    world.clock.advance(1)
    record([a_failure(world, instance) for instance in instances], world.now)


def a_fleet(world: World, size: int) -> list[Instance]:
    return [world.instance(f"c{number}") for number in range(size)]


def test_a_failed_check_makes_its_host_suspect(world: World) -> None:
    instance = world.instance()
    assert ask(world) == 1
    world.clock.advance(10)
    fail_all(world, [instance])
    assert watch_of(world).ask_at == world.now
    assert ask(world) == 1
    assert not Incident.objects.filter(kind="host").exists()


def test_a_suspicion_is_noted_once_and_needs_no_row(world: World) -> None:
    other = Host.objects.create(name="other", docker_url="unix:///fake/two.sock")
    hosts.suspect([], world.now)
    hosts.suspect([world.host.pk], world.now)
    first = world.now
    world.clock.advance(1)
    hosts.suspect([other.pk, world.host.pk, other.pk], world.now)
    asked = dict(HostWatch.objects.values_list("host", "ask_at"))
    assert asked == {world.host.pk: first, other.pk: world.now}


def test_an_engine_is_asked_at_most_once_an_interval(world: World) -> None:
    hosts.suspect([world.host.pk], world.now)
    assert ask(world) == 1
    hosts.suspect([world.host.pk], world.now)
    assert [ask(world, 2) for _ in range(5)] == [0, 0, 0, 0, 1]


def test_every_engine_is_asked_for_itself_once_a_minute(world: World) -> None:
    """Nothing fails there, or nobody lives there yet; but nobody asks for the host that came by itself."""
    Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    Host.objects.filter(pk=world.host.pk).update(docker_url="")
    assert ask(world) == 1
    world.instance()
    assert [ask(world, 10) for _ in range(13)] == [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1]
    watch = watch_of(world)
    assert (watch.answered_at, watch.failures, watch.error) == (world.now, 0, "")


def test_a_host_that_is_removed_while_it_is_asked_keeps_no_other_from_being_judged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.instance()
    Host.objects.create(name="a", docker_url="unix:///fake/gone.sock")
    ask_engines = host_answers.ask_engines

    def asked(*given: Any) -> list[Answer]:
        answers = list(ask_engines(*given))
        Host.objects.filter(name="a").delete()
        return answers

    monkeypatch.setattr("instances.monitoring.hosts.ask_engines", asked)
    assert ask(world) == 2
    assert watch_of(world).answered_at == world.now


def test_an_engine_that_can_not_be_reached_as_it_is_set_up_is_the_hosts_trouble(world: World) -> None:
    instance, words = world.instance(), "The Docker Engine can't be used: its certificate has expired."
    for _ in range(2):
        world.engine.fail_next("ping", EngineUnusable(words))
    ask_for(world, 20)
    incident = incident_of(world)
    assert (incident.cause, incident.severity, incident.message) == ("configuration", "critical", words)
    assert not Incident.objects.filter(kind="instance").exists()
    assert (set(engines_out_of_reach()), healing_held(instance, world.now)) == ({world.host.pk}, True)


def test_a_certificate_that_ends_soon_is_one_warning(world: World) -> None:
    def judge(**days: float) -> list[tuple[str, str]]:
        ends = [CertificateEnd(side, "its", world.now + timedelta(days=left)) for side, left in days.items()]
        judge_certificates(world.host, ends, world.now)
        warned = Incident.objects.open().filter(key="certificate:local", host=world.host)
        return list(warned.values_list("severity", "cause"))

    assert judge() == judge(engine=15, ours=300) == []
    assert judge(engine=13.9, ours=300) == [("warning", "engine")]
    assert judge(engine=13, ours=2) == [("warning", "engine,ours")]
    assert judge() == [("warning", "engine,ours")], "nothing was seen"
    assert judge(engine=90, ours=90) == []
    assert Incident.objects.count() == 1


def test_a_second_certificate_that_ends_soon_is_told_as_the_first_one_was(world: World) -> None:
    world.instance()
    a_channel(min_level="warning")
    told: list[str] = []
    both = {"engine": 13, "ours": 20}
    ends = [
        CertificateEnd(side, f"{side}'s", world.now + timedelta(days=left)) for side, left in both.items()
    ]
    outside = replace(world.outside, certificates=lambda address: ends)
    for _ in range(4):
        ask_due(outside)
        told += told_after(world, 0)
        world.clock.advance(3 * 86_400)
    assert told == ["ops opened warning certificate:local"] * 2
    assert "ours" in Notification.objects.order_by("-created_at")[0].payload["message"]


def test_a_host_is_asked_on_while_its_instances_began_to_fail_lately(world: World) -> None:
    fail_all(world, a_fleet(world, 1))
    ask(world)
    asked = [ask(world, 10) for _ in range(8)]
    assert asked == [1] * 6 + [0, 0]  # then once a minute, as ever


def test_an_engine_that_fails_once_is_no_incident(world: World) -> None:
    world.engine.unreachable = True
    hosts.suspect([world.host.pk], world.now)
    ask(world)
    assert (watch_of(world).failures, in_doubt(world.now)) == (1, True)
    world.engine.unreachable = False
    ask(world, 10)
    assert (watch_of(world).failures, in_doubt(world.now)) == (0, False)
    assert not Incident.objects.exists()


def test_an_engine_that_fails_twice_is_one_critical_incident(world: World) -> None:
    break_engine(world)
    incident = incident_of(world)
    assert (incident.key, incident.severity, incident.cause) == ("host:local", "critical", "engine")
    assert incident.message.startswith("The Docker Engine is out of reach")
    assert (incident.confirmed_at, incident.notify_at) == (incident.opened_at, incident.opened_at)
    ask_for(world, 60)
    assert incident_of(world).notify_at == incident.notify_at
    assert list(incident.events.values_list("kind", flat=True)).count("cause") == 0
    assert not in_doubt(world.now)


def test_an_engine_that_refuses_is_as_bad_as_one_that_is_silent(world: World) -> None:
    hosts.suspect([world.host.pk], world.now)
    for _ in range(2):
        world.engine.fail_next("ping", PermanentError("The Docker Engine cannot be used: no such protocol."))
        ask(world, 10)
    assert incident_of(world).message == "The Docker Engine cannot be used: no such protocol."


def test_hosts_are_asked_side_by_side_and_judged_by_their_own(world: World) -> None:
    far = Host.objects.create(name="far", docker_url="unix:///fake/far.sock")
    world.outside.hosts[far.docker_url].unreachable = True
    hosts.suspect([world.host.pk, far.pk], world.now)
    assert ask(world) == 2
    ask(world, 10)
    assert [incident.key for incident in Incident.objects.all()] == ["host:far"]
    assert watch_of(world).ask_at == world.now + timedelta(seconds=50)


def test_a_wave_of_failures_is_the_host(world: World) -> None:
    instances = a_fleet(world, 5)
    fail_all(world, instances[:2])
    ask(world)
    assert not Incident.objects.filter(kind="host").exists()
    world.clock.advance(20)
    fail_all(world, instances[2:3])
    ask(world)
    incident = incident_of(world)
    assert (incident.cause, incident.severity) == ("wave", "critical")
    common = "in common: reason refused"
    assert incident.message == f"3 of 5 instances of host local failed within 60 s, {common}."


def test_a_wave_names_the_image_that_only_the_failing_run(world: World) -> None:
    instances = a_fleet(world, 5)
    Instance.objects.filter(pk__in=[i.pk for i in instances[:3]]).update(
        image="agent:2.0", image_id="sha256:" + "ab" * 32
    )
    fail_all(world, instances[:3])
    ask(world)
    assert incident_of(world).message.endswith("in common: reason refused, image agent:2.0 (abababababab).")


def test_failures_spread_over_time_are_no_wave(world: World) -> None:
    for instance in a_fleet(world, 4):
        fail_all(world, [instance])
        ask_for(world, 30)
    assert not Incident.objects.filter(kind="host").exists()


def test_paused_and_removed_instances_make_no_wave(world: World) -> None:
    instances = a_fleet(world, 4)
    fail_all(world, instances)
    Health.objects.filter(pk=instances[0].pk).update(status="paused")
    Instance.objects.filter(pk=instances[1].pk).update(decommissioned_at=world.now)
    ask(world)
    assert not Incident.objects.filter(kind="host").exists()


def test_an_engine_that_is_back_begins_the_grace_and_all_are_looked_at_anew(world: World) -> None:
    instances = a_fleet(world, 3)
    Health.objects.filter(pk=instances[2].pk).update(status="paused")
    break_engine(world)
    world.engine.unreachable = False
    ask(world, 10)
    incident = incident_of(world)
    assert incident.is_open
    assert incident.resolve_at == world.now + timedelta(seconds=60)
    assert [health_of(instance).next_check_at for instance in instances] == [world.now, world.now, None]


def test_after_the_grace_one_sentence_says_what_is_left(world: World) -> None:
    instances = a_fleet(world, 3)
    break_engine(world)
    world.engine.unreachable = False
    ask(world, 10)
    fail_all(world, instances[:1])
    ask_for(world, 50)
    assert incident_of(world).is_open
    ask_for(world, 10)
    incident = incident_of(world)
    assert incident.resolution == "1 of 3 instances of host local is still down"
    assert (incident.is_open, incident.notify_at) == (False, incident.resolved_at)


def test_what_the_engine_left_behind_is_no_wave_of_its_own(world: World, settings: Settings) -> None:
    settings.HOST_GRACE = 30
    instances = a_fleet(world, 3)
    break_engine(world)
    world.engine.unreachable = False
    ask(world, 10)
    fail_all(world, instances)
    ask_for(world, 30)
    told = "3 of 3 instances of host local are still down"
    assert incident_of(world).resolution == told
    ask_for(world, 60)
    assert (incident_of(world).is_open, incident_of(world).resolution) == (False, told)
    assert incident_of(world).events.filter(kind="reopened").count() == 0


def test_failing_again_in_the_grace_ends_the_grace(world: World) -> None:
    break_engine(world)
    world.engine.unreachable = False
    ask(world, 10)
    world.engine.unreachable = True
    ask_for(world, 80)
    incident = incident_of(world)
    assert (incident.is_open, incident.resolve_at) == (True, None)
    world.engine.unreachable = False
    ask_for(world, 70)
    assert not incident_of(world).is_open
    assert list(incident.events.values_list("kind", flat=True)) == [
        "opened", "severity", "grace", "relapse", "grace", "resolved",
    ]  # fmt: skip


def test_a_wave_passes_with_its_window_and_a_new_one_ends_the_grace(world: World) -> None:
    instances = a_fleet(world, 6)
    fail_all(world, instances[:3])
    ask_for(world, 70)
    assert incident_of(world).resolve_at
    fail_all(world, instances[3:])
    ask_for(world, 10)
    assert (incident_of(world).is_open, incident_of(world).resolve_at) == (True, None)
    ask_for(world, 60)
    assert incident_of(world).resolve_at
    ask_for(world, 60)
    assert incident_of(world).resolution == "6 of 6 instances of host local are still down"


def test_a_wave_whose_engine_is_gone_says_so(world: World) -> None:
    fail_all(world, a_fleet(world, 3))
    ask(world)
    assert incident_of(world).cause == "wave"
    world.engine.unreachable = True
    ask_for(world, 20)
    assert incident_of(world).cause == "engine"
    assert watch_of(world).failures >= 2


def test_an_engine_that_is_gone_is_told_to_whoever_has_seen_to_the_wave_before(world: World) -> None:
    a_channel()
    fail_all(world, a_fleet(world, 3))
    ask(world)
    assert told_after(world, 0) == ["ops opened critical host:local"]
    acknowledge(incident_of(world).pk, "ann", world.now)
    world.engine.unreachable = True
    ask_for(world, 20)
    assert told_after(world, 0) == ["ops opened critical host:local"]
    ask_for(world, 60)
    assert told_after(world, 0) == []


def test_two_processes_ask_a_host_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.suspect([world.host.pk], world.now)
    monkeypatch.setattr(
        host_answers, "_answer", lambda outside, host, ids: Answer(error=str(ask_due(outside) or ""))
    )
    assert ask(world) == 1
    assert watch_of(world).failures == 0


def test_an_engine_in_order_is_asked_about_its_instances_by_their_numbers_alone(world: World) -> None:
    many = [world.instance(f"c{place}") for place in range(4)]
    hosts.suspect([world.host.pk], world.now)
    with CaptureQueriesContext(connection) as asked:
        assert ask(world) == 1
    assert len(many) == 4
    assert not any('"instances_instance"."volumes"' in query["sql"] for query in asked)


def test_a_host_whose_asker_died_is_asked_again(world: World) -> None:
    hosts.suspect([world.host.pk], world.now)
    host_watching._claim(world.now, world.now)
    assert ask(world, 29) == 0
    assert ask(world, 1) == 1


def test_a_host_that_may_be_silent_for_minutes_is_asked_by_one_process(
    world: World, settings: Settings
) -> None:
    settings.ENGINE_TIMEOUT = 300
    hosts.suspect([world.host.pk], world.now)
    [watch] = host_watching._claim(world.now, world.now)
    world.clock.advance(300)
    assert host_watching._claim(world.now, world.now) == []
    host_watching._conclude(watch, Answer(error="It did not answer in time."), world.now)
    assert watch_of(world).failures == 1


def test_an_answer_that_comes_after_a_newer_one_changes_nothing(world: World) -> None:
    hosts.suspect([world.host.pk], world.now)
    [late] = host_watching._claim(world.now, world.now)
    assert ask(world, 30) == 1
    host_watching._conclude(late, Answer(error="It did not answer in time."), world.now)
    assert watch_of(world).failures == 0


def test_the_settings_are_the_rules(world: World, settings: Settings) -> None:
    settings.WAVE_LEAST, settings.WAVE_WINDOW, settings.HOST_GRACE = 2, 10, 20
    fail_all(world, a_fleet(world, 2))
    ask(world)
    assert incident_of(world).message.startswith(
        "2 of 2 instances of host local failed within 10 s, in common"
    )
    ask_for(world, 20)
    assert incident_of(world).resolve_at
    ask_for(world, 20)
    assert not incident_of(world).is_open


def test_asking_costs_the_same_however_many_incidents_there_were(world: World) -> None:
    a_fleet(world, 3)
    with CaptureQueriesContext(connection) as queries:
        assert ask(world) == 1
    read = [found["sql"] for found in queries if 'FROM "instances_incident"' in found["sql"]]
    assert read
    assert all('"resolved_at" IS NULL' in sql for sql in read)


def resolved_while_judged(world: World, monkeypatch: pytest.MonkeyPatch, at_step: HostStep) -> Incident:
    """The host's incident, which ends the first time that this is to become of it."""
    incident, next_step = incident_of(world), host_rules.next_step
    open_one = Incident.objects.filter(pk=incident.pk, resolved_at=None)

    def decided(*given: Any) -> HostStep:
        step = next_step(*given)
        if step is at_step and not ended:
            ended.append(open_one.update(resolved_at=world.now, resolve_at=None))
        return step

    ended: list[int] = []
    monkeypatch.setattr(host_rules, "next_step", decided)
    return incident


def test_a_grace_that_is_over_in_the_instant_of_a_relapse_begins_an_incident_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_engine(world)
    world.engine.unreachable = False
    ask(world, 10)
    resolved_while_judged(world, monkeypatch, HostStep.RELAPSE)
    world.engine.unreachable = True
    ask_for(world, 30)
    assert Incident.objects.filter(kind="host", resolved_at=None, resolve_at=None).count() == 1
    assert not Incident.objects.filter(events__kind="relapse").exists()


def test_an_incident_that_is_over_in_the_instant_of_its_grace_stays_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_engine(world)
    incident = resolved_while_judged(world, monkeypatch, HostStep.GRACE)
    world.engine.unreachable = False
    ask(world, 10)
    incident.refresh_from_db()
    assert (incident.resolved_at, incident.resolve_at) == (world.now, None)
    assert not incident.events.filter(kind="grace").exists()
