"""From incidents to the outbox: what each channel is told, when, and how often."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from instances.alerts import messages, notify
from instances.alerts.context import channel_rules
from instances.alerts.notify import enqueue_notifications, requeue
from instances.documents import Document
from instances.models import Channel, Incident, Instance, Notification
from tests.factories import World
from tests.fakes.outside import START
from tests.fast.telling import a_channel, change, many, outbox, resolve, told_after

pytestmark = pytest.mark.django_db


def payload() -> Any:
    return Notification.objects.get().payload


def test_a_stretch_of_trouble_is_told_once_after_its_hold_and_its_end_at_once(world: World) -> None:
    a_channel()
    incident = world.incident(world.instance())
    assert told_after(world, 29) == []
    assert told_after(world, 1) == ["ops opened warning c1"]
    assert told_after(world, 1) == []
    incident.refresh_from_db()
    assert incident.notify_at == world.now - timedelta(seconds=1) + timedelta(hours=4)
    resolve(incident, world.now)
    assert told_after(world, 0) == ["ops resolved info c1"]
    assert Incident.objects.get().notify_at is None
    last = Notification.objects.get(kind="resolved").payload
    assert (last["resolved_at"], last["downtime_seconds"]) == ("2026-03-01T12:00:31Z", 60.0)
    assert last["message"] == "c1 on local: healthy again after one restart and 60 s."
    change(incident, world.now, resolved_at=None, confirmed_at=world.now, flapping=True)
    assert told_after(world, 0) == []
    assert told_after(world, 30) == ["ops flapping warning c1"]


def test_the_payload_is_the_documented_document(world: World, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://dockmgr.example.com"
    a_channel()
    incident = world.incident(world.instance(), restarts=1)
    told_after(world, 30)
    assert payload() == {
        "id": str(Notification.objects.get().pk),
        "version": 1,
        "kind": "opened",
        "level": "warning",
        "incident_id": incident.pk,
        "incident_kind": "instance",
        "customer_id": "c1",
        "host": "local",
        "since": "2026-03-01T11:59:00Z",
        "resolved_at": None,
        "downtime_seconds": 90.0,
        "restarts": 1,
        "cause": "refused",
        "title": "c1 on local is down",
        "message": "c1 on local has been down since 11:59:00 UTC (1 min 30 s): "
        "The connection was refused: nothing listens on the port.",
        "link": f"https://dockmgr.example.com/admin/instances/incident/{incident.pk}/change/",
        "acknowledged_by": None,
        "next_step": "See what it says with `manage.py logs --customer-id c1`.",
        "last_lines": [],
    }


def test_what_was_over_before_the_hold_is_told_only_if_a_restart_helped(world: World) -> None:
    a_channel(min_level="warning")
    a_channel("all", min_level="info")
    for customer, restarts in (("c1", 1), ("c2", 0)):
        incident = world.incident(world.instance(customer), restarts=restarts)
        resolve(incident, world.now + timedelta(seconds=10))
    assert told_after(world, 39) == []
    assert told_after(world, 1) == ["all recovered info c1"]


def test_being_down_for_too_long_is_told_without_a_hold(world: World) -> None:
    a_channel()
    world.incident(world.instance(), "critical", critical_at=None, notify_at=world.now)
    assert told_after(world, 0) == ["ops opened critical c1"]


def test_each_channel_hears_of_what_it_is_for(world: World) -> None:
    a_channel("here", hosts=["local"])
    a_channel("there", hosts=["elsewhere"])
    a_channel("pro", plans=["pro"])
    a_channel("c2", customers=["c2"])
    a_channel("off", enabled=False)
    world.incident(world.instance())
    assert told_after(world, 30) == ["here opened warning c1", "pro opened warning c1"]


def test_without_a_channel_nothing_is_written_and_nothing_is_looked_at_again(world: World) -> None:
    incident = world.incident(world.instance())
    assert told_after(world, 30) == []
    incident.refresh_from_db()
    assert incident.notify_at is None
    a_channel()
    requeue(Incident.objects.all(), world.now)
    assert told_after(world, 0) == ["ops opened warning c1"]


def test_wide_news_are_written_before_those_of_instances_and_whatever_becomes_of_these(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_channel()
    many(world, 1)
    world.clock.advance(30)
    world.large_incident("self", "beat")
    of_incident = messages.of_incident

    def fails(identity: uuid.UUID, incident: Incident, *rest: Any) -> Document:
        if incident.kind == "instance":
            raise ValueError("a defect")
        return of_incident(identity, incident, *rest)

    monkeypatch.setattr(messages, "of_incident", fails)
    with pytest.raises(ValueError, match="a defect"):
        enqueue_notifications(world.now)
    assert outbox() == ["ops opened critical self"]


def queries_of_a_flush(world: World) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        enqueue_notifications(world.now)
    return len(captured)


def test_queries_grow_with_batches_and_not_with_incidents_and_channels(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BATCH", 5)
    a_channel()
    a_channel("more")
    many(world, 2)
    world.clock.advance(30)
    few = queries_of_a_flush(world)
    Incident.objects.all().delete()
    Instance.objects.all().delete()
    many(world, 15)
    world.clock.advance(30)
    assert queries_of_a_flush(world) < 4 * few
    assert Notification.objects.filter(sent_at=None).count() == 30 + 4


@pytest.mark.django_db(transaction=True)
def test_processes_that_flush_at_once_tell_everything_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "BATCH", 3)
    a_channel()
    many(world, 12)
    world.clock.advance(30)
    written: list[int] = []

    def other() -> None:
        written.append(enqueue_notifications(world.now))
        connection.close()

    threads = [threading.Thread(target=other) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(written) == Notification.objects.count() == 12
    assert len(set(outbox())) == 12


@pytest.mark.parametrize("seen", [{}, {"acknowledged_by": "ann", "acknowledged_at": START}])
@pytest.mark.django_db(transaction=True)
def test_a_channel_that_is_deleted_while_news_are_written_costs_no_other_its_news(
    seen: dict[str, Any], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_channel()
    world.incident(world.instance(), **seen)
    a_channel("gone")
    gone = Channel.objects.defer("url").get(name="gone")
    Channel.objects.filter(name="gone").delete()
    rules, asked = channel_rules, []

    def read_before_it_went() -> Any:
        asked.append(1)
        known = rules()
        return [*known, (gone, known[0][1])] if len(asked) == 1 else known

    monkeypatch.setattr(notify, "channel_rules", read_before_it_went)
    assert told_after(world, 30) == ["ops opened warning c1"]
