"""Many at once on the same rows: nobody waits in a circle, and each judges the state it finds."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models import F
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from instances.alerts import mute
from instances.alerts.delivery_rules import SENT
from instances.alerts.notify import enqueue_notifications
from instances.alerts.outbox import deliver
from instances.alerts.switching import channels_changed
from instances.checks.record import record
from instances.checks.transition import change
from instances.db.locks import has_row_locks
from instances.engine.certificates import CertificateEnd
from instances.errors import BusyError, RequestError
from instances.health import restarts
from instances.health.state import State, Status
from instances.incidents import deadlines, lifecycle
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import CERTIFICATE, certificate_key
from instances.models import Channel, Health, Incident, Instance, Operation
from instances.monitoring import hosts
from instances.monitoring.alarms import end_alarm, end_or_wait, raise_alarm
from instances.operations import adopt as adopting
from instances.operations import pause, service
from instances.operations.adopt import _taken_over
from instances.operations.adoptable import AdoptRequest, look
from instances.operations.procedures import restart
from tests.factories import ASKED, World, a_check, a_failure, health_of
from tests.fast.conftest import Run
from tests.fast.side_by_side import side_by_side
from tests.fast.strangers import NAME, adopted, existing
from tests.fast.telling import a_channel

pytestmark = pytest.mark.django_db(transaction=True)
BREATH = 0.1  # seconds a thread leaves to the others where there is one writer at a time


def rounds() -> int:
    """Where there is one writer at a time no order of rows can be wrong, and a few show the rest."""
    return 20 if has_row_locks() else 2


def test_healing_checking_and_judging_hosts_at_once_meet_no_deadlock(
    world: World, settings: Settings
) -> None:
    settings.HOST_ASK_INTERVAL = settings.REOPEN_WITHIN = 0.0
    instances = [world.instance(f"c{number}") for number in range(rounds())]
    checked, breath = threading.Event(), 0.0 if has_row_locks() else BREATH

    def check() -> None:
        """Each third batch fails and opens an incident for every instance: rows that refer to the host."""
        for number in range(rounds()):
            world.clock.advance(1)
            seen = a_check if number % 3 else partial(a_failure, reason="exited")
            record([seen(world, instance) for instance in instances], world.now)

    def check_all() -> None:
        try:
            assert side_by_side(check, check) == []
        finally:
            checked.set()

    def heal() -> None:
        while not checked.wait(breath):
            for instance in instances:
                taken = restart.begin_automatic(instance.pk, world.now)
                if taken is not None:
                    service.withdraw(taken, "enough", world.outside)

    def judge() -> None:
        while not checked.wait(breath):
            hosts.ask_due(world.outside)

    assert side_by_side(check_all, heal, heal, judge, judge) == []
    assert Incident.objects.filter(kind="instance").count() >= len(instances)


def test_pausing_and_adopting_once_more_at_once_meet_no_deadlock(world: World, run: Run) -> None:
    made = adopted(world, run)

    def pause() -> None:
        for _ in range(rounds()):
            service.pause("c1")
            service.resume("c1")

    def take_over() -> None:
        for _ in range(2 * rounds()):
            with transaction.atomic():
                instance = Instance.objects.get()
                _taken_over(instance, made, world.outside)
                change(instance.pk, world.now, lambda state: state)

    assert side_by_side(pause, take_over) == []


def test_two_batches_that_name_the_same_instances_the_other_way_round_wait_in_line(world: World) -> None:
    instances = [world.instance(f"c{number}") for number in range(2 * rounds())]

    def check(order: list[Instance]) -> None:
        for _ in range(rounds()):
            world.clock.advance(1)
            record([a_failure(world, instance) for instance in order], world.now)

    assert side_by_side(lambda: check(instances), lambda: check(instances[::-1])) == []
    assert Incident.objects.open().count() == len(instances)


def test_what_recovers_between_the_look_and_the_restart_is_not_restarted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance(status="unhealthy", failures=3, down_since=world.now)
    begun = restarts.restart_begun

    def recovered_meanwhile(state: State, now: datetime, *, automatic: bool) -> State:
        Health.objects.filter(pk=instance.pk, status="unhealthy").update(
            status="healthy", failures=0, down_since=None, revision=F("revision") + 1
        )
        return begun(state, now, automatic=automatic)

    monkeypatch.setattr(restarts, "restart_begun", recovered_meanwhile)
    assert restart.begin_automatic(instance.pk, world.now) is None
    assert not Operation.objects.exists()


def test_a_change_that_begins_between_the_look_and_the_pause_is_not_paused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = world.instance()
    paused = pause.paused
    begun: list[Operation] = []

    def taken_meanwhile(state: State) -> State:
        if not begun:
            begun.append(service.begin_update("c1", ASKED, image="other:2", outside=world.outside))
        return paused(state)

    monkeypatch.setattr(pause, "paused", taken_meanwhile)
    with pytest.raises(BusyError, match="is being changed: update asked for by "):
        service.pause("c1")
    assert health_of(instance).status == Status.HEALTHY


def test_a_host_that_is_back_is_judged_by_rows_of_health_before_those_of_incidents(
    world: World, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """As checks take them: what ends, as the warning of a certificate, wakes incidents of the instances."""
    world.instance()
    world.host_incident()
    ends = Alarm(certificate_key("local"), CERTIFICATE, "engine", "ends soon", host=world.host)
    raise_alarm(ends, world.now)
    renewed = CertificateEnd("engine", "its", world.now + timedelta(days=90))
    with django_assert_max_num_queries(100) as asked:
        hosts.ask_due(replace(world.outside, certificates=lambda address: [renewed]))
    assert not Incident.objects.open().exclude(kind="host").exists()
    changes = [query["sql"] for query in asked if query["sql"].startswith(("UPDATE", "INSERT"))]
    written = [sql.split('"')[1] for sql in changes]
    assert written.index("instances_health") < written.index("instances_incident")


def test_what_waited_is_woken_after_what_ended_is_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    def told(incident: Incident) -> str:
        transaction.on_commit(lambda: happened.append("let go"))
        return "it has passed"

    monkeypatch.setattr(deadlines, "wake", lambda *_: happened.append("woken"))
    Incident.objects.filter(pk=world.host_incident().pk).update(resolve_at=world.now)
    deadlines.apply_due(world.now, told)
    assert happened == ["let go", "woken"]


def test_what_waited_is_woken_after_a_trouble_that_comes_and_goes_is_let_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    monkeypatch.setattr(lifecycle, "wake", lambda *_: held.append(connection.in_atomic_block))
    world.large_incident("fleet", "hosts", flapping=True)
    end_or_wait("fleet", "it has passed", world.now)
    assert held == [False]


def test_channels_mutes_and_ends_of_a_host_s_trouble_at_once_meet_no_deadlock(
    world: World, settings: Settings
) -> None:
    """Each of them looks again at many incidents, of which the others hold some."""
    settings.HOLD = settings.REOPEN_WITHIN = 0.0
    world.incidents([world.instance(f"c{number}") for number in range(rounds())])
    channels = [a_channel(name) for name in ("ops", "team")]

    def switch(channel: Channel) -> None:
        for number in range(2 * rounds()):
            with transaction.atomic():
                Channel.objects.filter(pk=channel.pk).update(enabled=bool(number % 2))
                channels_changed({channel.name: ["enabled"]}, world.now)

    def mute_host() -> None:
        scope = mute.scope(host="local")
        for _ in range(rounds()):
            mute.mute(scope, world.now + timedelta(hours=1), world.now, by="tests")
            world.clock.advance(1)
            mute.unmute(scope, world.now, by="tests")

    def trouble() -> None:
        for _ in range(rounds()):
            raise_alarm(Alarm("fleet", "fleet", "hosts", "Half of all hosts are in trouble."), world.now)
            enqueue_notifications(world.now)
            end_alarm("fleet", "it has passed", world.now)

    def tell() -> None:
        for _ in range(rounds()):
            enqueue_notifications(world.now)
            deliver(world.clock, lambda *_: SENT)

    assert side_by_side(*(partial(switch, each) for each in channels), mute_host, trouble, tell) == []


def test_waves_on_a_host_that_flaps_and_mutes_at_once_meet_no_deadlock(
    world: World, settings: Settings
) -> None:
    """Two incidents of one host, of which each transaction holds one at a time."""
    settings.HOLD = settings.HOST_GRACE = settings.HOST_ASK_INTERVAL = 0.0
    instances = [world.instance(f"c{number}") for number in range(10)]  # which make a wave
    a_channel()
    world.host_incident(flapping=True)

    def watch() -> None:
        for number in range(2 * rounds()):
            world.engine.unreachable = number % 4 == 0
            Health.objects.filter(pk__in=instances).update(noticed_at=world.now)
            world.clock.advance(1)
            hosts.ask_due(world.outside)
            Incident.objects.filter(key="wave:local").update(notify_at=world.now)

    def trouble() -> None:
        for _ in range(rounds()):
            raise_alarm(Alarm("fleet", "fleet", "hosts", "Half of all hosts are in trouble."), world.now)
            end_alarm("fleet", "it has passed", world.now)

    def mute_host() -> None:
        scope = mute.scope(host="local")
        for _ in range(rounds()):
            mute.mute(scope, world.now + timedelta(hours=1), world.now, by="tests")
            mute.unmute(scope, world.now, by="tests")

    def tell() -> None:
        for _ in range(rounds()):
            enqueue_notifications(world.now)

    watch()
    assert Incident.objects.filter(key="wave:local").exists()
    assert side_by_side(watch, watch, trouble, mute_host, tell) == []


def test_muting_who_is_just_removed_for_good_meets_no_deadlock(world: World) -> None:

    def provision_in_vain() -> None:
        for _ in range(rounds()):
            assert world.provision("new", image="registry.example.com/agent:none").status == "failed"
        provisioned.set()

    def mute_it() -> None:
        until = world.now + timedelta(days=1)
        while not provisioned.is_set():
            with suppress(RequestError):  # it is gone
                scope = mute.scope(customer_id="new")
                mute.mute(scope, until, world.now, by="tests")
                mute.unmute(scope, world.now, by="tests")

    provisioned = threading.Event()
    assert side_by_side(provision_in_vain, mute_it, mute_it) == []


def test_adopting_once_more_and_restarting_at_once_meet_no_deadlock(world: World, run: Run) -> None:
    adopted(world, run)
    order = AdoptRequest("c1", "c1.example.com", NAME, "pro", "local").checked()

    def restart_it() -> None:
        for _ in range(rounds()):
            with suppress(BusyError):
                service.withdraw(service.begin_restart("c1", ASKED, world.outside), "enough", world.outside)

    def adopt_it() -> None:
        for _ in range(rounds()):
            world.engine.lose(NAME)
            existing(world)
            with suppress(BusyError):
                adopting.adopt(look(order, world.outside), world.outside, ASKED)

    assert side_by_side(restart_it, restart_it, adopt_it) == []


def test_of_many_who_pause_at_once_the_first_stays_on_record(world: World) -> None:
    """And nobody's pause is without a record, whoever resumes at that moment."""
    world.instance()
    paused: list[str] = []

    def pause_as(who: str) -> None:
        paused.append(service.pause("c1", replace(ASKED, requested_by=who)).paused_by)

    for _ in range(rounds()):
        assert side_by_side(*(partial(pause_as, who) for who in ("ada", "bob", "eve"))) == []
        assert len(set(paused)) == 1
        assert side_by_side(partial(pause_as, "ada"), lambda: service.resume("c1")) == []
        row = Instance.objects.select_related("health").get()
        assert (row.health.status == Status.PAUSED) == (row.paused_at is not None)
        service.resume("c1")
        paused.clear()
