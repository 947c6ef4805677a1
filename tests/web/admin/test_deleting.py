"""What is deleted at the desk goes with all that is about it; what is in use stays, and is told by what."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from instances.admin.deleting import DeletingAdmin
from instances.admin.read_only import OVERTAKEN
from instances.models import (
    AuditEntry,
    Channel,
    Host,
    Incident,
    Instance,
    Mute,
    Notification,
    NotifiedState,
    PendingPurge,
    Plan,
)
from tests.desk import at_desk, audited, said
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
POST = {"post": "yes"}


def address(row: Model) -> str:
    return f"/admin/instances/{row._meta.model_name}/"


def selected(row: Model, **fields: str) -> dict[str, Any]:
    return {"action": "delete_selected", "_selected_action": [str(row.pk)], **fields}


def pages(client: Client, row: Model) -> tuple[str, str]:
    """What is asked before the row is deleted by its own page, and in the list."""
    alone = client.get(f"{address(row)}{row.pk}/delete/")
    listed = client.post(address(row), selected(row))
    return unescape(alone.content.decode()), unescape(listed.content.decode())


def a_told_channel(world: World) -> Channel:
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1:9/")
    incident = world.incident(world.instance())
    NotifiedState.objects.create(incident=incident, channel=channel, state="warning", at=world.now)
    message = {"channel": channel, "level": "warning", "created_at": world.now}
    digest = Notification.objects.create(kind="digest", **message)
    for _ in range(3):
        Notification.objects.create(kind="opened", incident=incident, digest=digest, **message)
    return channel


@pytest.mark.parametrize("way", ["alone", "in the list"])
def test_a_channel_is_deleted_with_what_it_was_told(world: World, way: str) -> None:
    channel, client = a_told_channel(world), at_desk("admin")
    for page in pages(client, channel):
        assert "Are you sure" in page and "permission" not in page
        assert "notifications: 4" in page.lower()
    if way == "alone":
        client.post(f"{address(channel)}{channel.pk}/delete/", POST)
    else:
        client.post(address(channel), selected(channel, **POST))
    assert not (Channel.objects.exists() or Notification.objects.exists() or NotifiedState.objects.exists())
    assert Incident.objects.exists(), "it is no part of the channel"
    assert audited("delete channel").target == "ops"


def test_channels_are_locked_before_it_is_noted_that_one_is_gone(world: World) -> None:
    """Whoever switches one off does both in this order, and two who don't would wait in a circle."""
    channel, client = a_told_channel(world), at_desk("admin")
    with CaptureQueriesContext(connection) as queries:
        client.post(address(channel), selected(channel, **POST))
    written = [
        query["sql"].split('"')[1] for query in queries if query["sql"].startswith(("DELETE", "INSERT"))
    ]
    assert written.index("instances_channel") < written.index("instances_pulse")


def test_who_may_only_look_deletes_no_channel(world: World) -> None:
    channel, client = a_told_channel(world), at_desk("operator")
    assert client.post(f"{address(channel)}{channel.pk}/delete/", POST).status_code == 403
    client.post(address(channel), selected(channel, **POST))
    assert Channel.objects.exists()


def a_used_host(world: World) -> tuple[Host, str]:
    for number in range(7):
        world.instance(f"c{number}")
    world.decommission("c6")
    PendingPurge.objects.create(host=world.host, volume="v", customer_id="c9", asked_at=world.now)
    words = (
        "The host local can't be deleted: 6 instances use it (c0, c1, c2, c3, c4 and 1 more), it stays in "
        "the record of 1 instance that is decommissioned and data is still to be removed there from 1 volume."
    )
    return world.host, words


def a_used_plan(world: World) -> tuple[Plan, str]:
    world.instance("c1")
    return world.plan, "The plan pro can't be deleted: 1 instance uses it (c1)."


def a_plan_of_the_past(world: World) -> tuple[Plan, str]:
    world.instance("c1")
    world.decommission("c1")
    words = "The plan pro can't be deleted: it stays in the record of 1 instance that is decommissioned."
    return world.plan, words


@pytest.mark.parametrize("make", [a_used_host, a_used_plan, a_plan_of_the_past])
def test_what_is_in_use_stays_and_one_sentence_says_what_uses_it(world: World, make: Any) -> None:
    row, words = make(world)
    client = at_desk("admin")
    for page in pages(client, row):
        assert words in page
        assert "permission" not in page and "Are you sure" not in page
    sent = client.post(f"{address(row)}{row.pk}/delete/", POST)
    assert (sent.status_code, words in unescape(sent.content.decode())) == (200, True)
    client.post(address(row), selected(row, **POST))
    assert type(row)._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("kind", ["host", "plan"])
def test_a_mute_keeps_nothing(world: World, kind: str) -> None:
    row = Host.objects.create(name="spare") if kind == "host" else Plan.objects.create(name="spare")
    until = world.now + timedelta(hours=1)
    Mute.objects.create(starts_at=world.now, until=until, by="ann", **{kind: row})
    client = at_desk("admin")
    assert all("Are you sure" in page for page in pages(client, row))
    client.post(f"{address(row)}{row.pk}/delete/", POST)
    assert not type(row)._default_manager.filter(pk=row.pk).exists()
    assert not (Mute.objects.exists() or Instance.objects.exists())


def test_what_people_delete_by_hand_still_asks_for_their_permission(world: World) -> None:
    every = IntervalSchedule.objects.create(every=9, period="hours")
    PeriodicTask.objects.create(name="odd", task="dockmgr.sweep", interval=every)
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__endswith="_intervalschedule"))
    client = Client()
    client.force_login(user)
    page = f"/admin/django_celery_beat/intervalschedule/{every.pk}/delete/"
    assert "doesn't have permission" in unescape(client.get(page).content.decode())
    assert client.post(page, POST).status_code == 403
    assert PeriodicTask.objects.filter(name="odd").exists()


@pytest.mark.parametrize("kind", ["host", "plan"])
def test_what_comes_into_use_while_it_is_deleted_in_the_list_stays(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row: Any = getattr(world, kind)

    def used_meanwhile(own: DeletingAdmin, request: HttpRequest, queryset: Any) -> None:
        world.instance()
        queryset.delete()

    monkeypatch.setattr(DeletingAdmin, "delete_queryset", used_meanwhile)
    sent = at_desk("admin").post(address(row), selected(row, **POST))
    assert (sent.status_code, said(sent)) == (302, OVERTAKEN)  # type: ignore[arg-type]
    assert type(row)._default_manager.filter(pk=row.pk).exists()
    assert not AuditEntry.objects.filter(action=f"delete {kind}").exists()
