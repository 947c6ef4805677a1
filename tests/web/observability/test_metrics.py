"""What Prometheus is told: the numbers of the fleet, and what they count."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.alerts.delivery_rules import SENT, DeliveryOutcome, DeliveryResult
from instances.alerts.outbox import deliver
from instances.health.state import Status
from instances.incidents import lifecycle
from instances.models import Channel, HealthCheck, Host, Notification, Operation, Pulse, Sweep
from instances.observability import readings
from tasks import maintenance
from tests.factories import World, a_check, a_failure
from tests.web.scraping import look, of_database


def test_instances_are_told_by_status_plan_and_host(world: World) -> None:
    other = Host.objects.create(name="two", docker_url="unix:///fake/two.sock")
    for number in range(3):
        world.instance(f"c{number}")
    world.instance("far", host=other, status="failed")
    world.instance("gone")
    world.decommission("gone")
    found = of_database(world)
    assert found.value("dockmgr_instances", status="healthy", plan="pro", host="local") == 3
    assert found.value("dockmgr_instances", status="failed", plan="pro", host="two") == 1
    assert found.value("dockmgr_instances", status="failed", plan="pro", host="local") == 0
    everything = [value for key, value in found.items() if key.startswith("dockmgr_instances{")]
    assert (len(everything), sum(everything)) == (2 * (len(Status) + 1), 4)


def test_small_hosts_share_a_label_when_there_are_too_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "MOST_NAMES", 1)
    for name in ("two", "three"):
        host = Host.objects.create(name=name, docker_url=f"unix:///fake/{name}.sock")
        world.instance(f"c-{name}", host=host)
    for number in range(2):
        world.instance(f"c{number}")
    found = of_database(world)
    for label in ("local", "other"):
        assert found.value("dockmgr_instances", status="healthy", plan="pro", host=label) == 2
    assert "two" not in str(found)


def test_checks_are_counted_by_outcome_and_duration(world: World) -> None:
    one, two = world.instance("c1"), world.instance("c2")
    slow = a_failure(world, two, started_at=world.now - timedelta(seconds=3))
    look(world, a_check(world, one), slow)
    world.clock.advance(10)
    look(world, a_check(world, one, started_at=world.now - timedelta(milliseconds=4)))
    found = of_database(world)
    assert found.value("dockmgr_checks_total", outcome="ok") == 2
    assert found.value("dockmgr_checks_total", outcome="fail") == 1
    assert found.value("dockmgr_checks_total", outcome="unknown") == 0
    buckets = [
        found.value("dockmgr_check_duration_seconds_bucket", outcome="ok", le=le)
        for le in ("0.005", "0.25", "0.5", "+Inf")
    ]
    assert buckets == [1, 1, 2, 2]
    assert found.value("dockmgr_check_duration_seconds_sum", outcome="ok") == pytest.approx(0.504)
    assert found.value("dockmgr_check_duration_seconds_bucket", outcome="fail", le="2.5") == 0
    assert found.value("dockmgr_check_duration_seconds_count", outcome="fail") == 1


def test_a_check_that_is_not_applied_is_not_counted(world: World) -> None:
    instance = world.instance()
    look(world, a_check(world, instance))
    look(world, a_check(world, instance))
    assert of_database(world).value("dockmgr_checks_total", outcome="ok") == 1


def test_what_is_rolled_back_was_never_counted(world: World) -> None:
    instance = world.instance()
    with suppress(DatabaseError), transaction.atomic():
        look(world, a_check(world, instance))
        raise DatabaseError
    assert of_database(world).value("dockmgr_checks_total", outcome="ok") == 0


def test_counters_do_not_go_down_when_history_is_deleted(world: World, settings: Settings) -> None:
    look(world, a_check(world, world.instance()))
    settings.HISTORY_DAYS = settings.HOURLY_DAYS = 1
    world.clock.advance(3 * 86400)
    maintenance.purge_history()
    assert not HealthCheck.objects.exists()
    assert of_database(world).value("dockmgr_checks_total", outcome="ok") == 1


def test_operations_and_restarts_are_counted_by_how_they_ended(world: World) -> None:
    world.instance()
    world.restart()
    world.provision("new")
    found = of_database(world)
    assert found.value("dockmgr_operations_total", kind="restart", outcome="succeeded") == 1
    assert found.value("dockmgr_operations_total", kind="provision", outcome="succeeded") == 1
    assert found.value("dockmgr_operations_total", kind="update", outcome="rolled_back") == 0
    assert found.value("dockmgr_restarts_total", trigger="requested", outcome="succeeded") == 1
    assert found.value("dockmgr_restarts_total", trigger="automatic", outcome="succeeded") == 0
    assert found.value("dockmgr_operation_duration_seconds_count", kind="restart") == 1


def test_an_operation_under_way_is_a_gauge(world: World) -> None:
    instance = world.instance()
    Operation.objects.create(
        kind="update", instance=instance, customer_id="c1", status="running", requested_by="t",
        created_at=world.now, lease_expires_at=world.now,
    )  # fmt: skip
    found = of_database(world)
    assert found.value("dockmgr_operations_unfinished", kind="update", status="running") == 1
    assert found.value("dockmgr_operations_total", kind="update", outcome="succeeded") == 0


def test_open_incidents_are_told_by_severity_and_kind(world: World) -> None:
    world.incident(world.instance("c1"), "critical")
    world.incident(world.instance("c2"))
    lifecycle.resolve(world.incident(world.instance("c3")), "healthy again", world.now)
    found = of_database(world)
    assert found.value("dockmgr_incidents_open", severity="critical", kind="instance") == 1
    assert found.value("dockmgr_incidents_open", severity="warning", kind="instance") == 1
    assert found.value("dockmgr_incidents_open", severity="critical", kind="host") == 0


def message(world: World, channel: Channel, level: str) -> None:
    Notification.objects.create(channel=channel, kind="opened", level=level, created_at=world.now)


@pytest.mark.django_db(transaction=True)
def test_messages_are_told_waiting_and_by_what_became_of_them(world: World) -> None:
    good, gone = (Channel.objects.create(name=name, url=f"json://{name}/") for name in ("good", "gone"))
    message(world, good, "critical")
    deliver(world.clock, lambda *_: SENT)
    message(world, gone, "warning")
    message(world, good, "info")
    found = of_database(world)
    assert found.value("dockmgr_notifications_waiting") == 2
    assert found.value("dockmgr_notifications_total", outcome="sent", level="critical") == 1
    deliver(
        world.clock,
        lambda url, *_: DeliveryResult(DeliveryOutcome.PERMANENT, "No.") if "gone" in url else SENT,
    )
    found = of_database(world)
    assert found.value("dockmgr_notifications_total", outcome="given_up", level="warning") == 1
    assert found.value("dockmgr_notifications_total", outcome="sent", level="info") == 1
    assert found.value("dockmgr_notifications_total", outcome="given_up", level="critical") == 0


@pytest.mark.django_db(transaction=True)
def test_a_message_that_got_too_old_is_given_up_once(world: World) -> None:
    message(world, Channel.objects.create(name="broken", url="json://broken/"), "warning")
    for _ in range(3):
        world.clock.advance(2 * 86400)
        deliver(world.clock, lambda *_: DeliveryResult(DeliveryOutcome.TRANSIENT, "It does not work."))
    found = of_database(world)
    assert found.value("dockmgr_notifications_total", outcome="given_up", level="warning") == 1


def test_the_last_finished_sweep_tells_its_duration_and_age(world: World) -> None:
    assert "dockmgr_sweep_age_seconds" not in of_database(world)
    began = world.now - timedelta(seconds=100)
    Sweep.objects.create(
        state="finished", started_at=began, finished_at=began + timedelta(seconds=40), expires_at=world.now
    )
    Sweep.objects.create(state="running", started_at=world.now, expires_at=world.now)
    found = of_database(world)
    assert found.value("dockmgr_sweep_last_duration_seconds") == 40
    assert found.value("dockmgr_sweep_age_seconds") == 60
    assert found.value("dockmgr_sweep_last_finish_timestamp_seconds") == world.now.timestamp() - 60


def test_parts_of_dockmgr_tell_when_they_last_lived(world: World) -> None:
    Pulse.objects.create(name="beat", at=world.now)
    assert of_database(world).value("dockmgr_pulse_timestamp_seconds", part="beat") == world.now.timestamp()


def test_the_number_of_statements_does_not_grow_with_the_fleet(world: World) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            of_database(world)
        return len(queries)

    world.instance("first")
    before = statements()
    for number in range(20):
        world.instance(f"c{number}")
        look(world, a_check(world, world.instance(f"d{number}")))
    assert statements() == before <= 11
