"""However many rows a list shows, it asks the database as often."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from instances.access import tokens
from instances.models import Bulk, Channel, Host, Mute, Notification, PendingPurge, Plan, Registry
from tests.desk import at_desk
from tests.factories import World
from tests.web.callers import OVER_HTTP

pytestmark = OVER_HTTP
LISTS = (
    *(
        f"instances/{name}"
        for name in (
            "instance", "incident", "operation", "host", "plan", "channel", "mute", "notification",
            "apitoken", "auditentry", "bulk", "pendingpurge", "registry", "sweep", "healthcheck",
        )
    ),
    "django_celery_beat/periodictask",
    "auth/user",
)  # fmt: skip


def one_of_each(world: World, name: str, every: int) -> None:
    now, instance = world.now, world.instance(name)
    world.incident(instance)
    world.restart(name)
    Mute.objects.create(instance=instance, starts_at=now, until=now + timedelta(hours=1), by="x")
    channel = Channel.objects.create(name=name, url="json://127.0.0.1:9/")
    Notification.objects.create(channel=channel, kind="test", level="info", payload={}, created_at=now)
    Bulk.objects.create(verb="check", instances=[instance.pk], pending=[], by="x", created_at=now)
    PendingPurge.objects.create(customer_id=name, host=world.host, volume=name, asked_at=now)
    schedule = IntervalSchedule.objects.create(every=every, period="minutes")
    PeriodicTask.objects.create(name=name, task="dockmgr.sweep", interval=schedule)
    tokens.issue(name, "read", "x", now)
    Host.objects.create(name=name, docker_url=f"tcp://{name}:1", insecure=True)
    Plan.objects.create(name=name, image="x")
    Registry.objects.create(name=f"{name}.example.com")


def queries(client: Client, page: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/admin/{page}/").status_code == 200
    return len(asked)


def test_many_rows_take_as_many_queries_as_few(world: World, admin_client: Client) -> None:
    for number in range(2):
        one_of_each(world, f"few{number}", 101 + number)
    queries(admin_client, LISTS[0])  # what a process asks once
    few = {page: queries(admin_client, page) for page in LISTS}
    for number in range(6):
        one_of_each(world, f"many{number}", 201 + number)
    assert {page: queries(admin_client, page) for page in LISTS} == few


def test_what_to_do_about_an_incident_is_said_without_reading_logs_and_customers(world: World) -> None:
    viewer = at_desk("viewer")
    of_one, of_host = world.incident(world.instance()), world.host_incident()
    with CaptureQueriesContext(connection) as asked:
        for incident in (of_one, of_host):
            page = viewer.get(f"/admin/instances/incident/{incident.pk}/change/")
            assert "What to do" in page.content.decode()
    read = " ".join(query["sql"] for query in asked.captured_queries)
    assert "instances_lastwords" not in read
    assert 'FROM "instances_instance" LEFT OUTER JOIN "instances_health"' not in read
