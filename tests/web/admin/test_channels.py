"""Channels at the desk: told what is wrong as soon as they are there, and judged as a fleet file is."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from instances.db.clock import SYSTEM
from instances.incidents.acknowledge import acknowledge
from instances.models import Channel, Incident
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
ROOT = "/admin/instances/channel/"
NEW = {
    "name": "ops",
    "new_url": "json://127.0.0.1:9/",
    "min_level": "info",
    "timezone": "UTC",
    "enabled": "on",
    "incidents": "on",
}


def edited(client: Client, **changes: Any) -> None:
    page = f"{ROOT}{Channel.objects.get().pk}/change/"
    sent = {name: value for name, value in {**NEW, "new_url": "", **changes}.items() if value is not None}
    assert client.post(page, sent).status_code == 302


def seen_by_somebody(world: World) -> Incident:
    """An incident that nobody would be told of any more."""
    incident = world.incident(world.instance(), "critical")
    acknowledge(incident.pk, "ann", world.now)
    Incident.objects.update(notify_at=None)
    return incident


def is_looked_at(incident: Incident) -> bool:
    incident.refresh_from_db()
    return incident.notify_at is not None and incident.notify_at <= SYSTEM.now()


def test_a_channel_that_is_added_is_told_what_is_wrong(admin_client: Client, world: World) -> None:
    incident = seen_by_somebody(world)
    assert admin_client.post(f"{ROOT}add/", NEW).status_code == 302
    assert is_looked_at(incident)


@pytest.mark.parametrize("changes", [{"enabled": "on"}, {"plans": "pro"}], ids=["enabled", "for others"])
def test_a_channel_that_is_changed_is_told_what_is_wrong(
    admin_client: Client, world: World, changes: dict[str, str]
) -> None:
    incident = seen_by_somebody(world)
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/", enabled=False, disabled_reason="Gone.")
    edited(admin_client, **{"enabled": None, **changes})
    assert is_looked_at(incident)
    assert Channel.objects.get().disabled_reason == ("" if "enabled" in changes else "Gone.")


@pytest.mark.parametrize(("url", "known"), [("json://127.0.0.1:9/other", "again"), ("", "critical")])
def test_a_channel_with_another_url_is_a_new_place(
    admin_client: Client, world: World, url: str, known: str
) -> None:
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1:9/", min_level="warning")
    channel.told.create(incident=seen_by_somebody(world), state="critical", at=world.now)
    edited(admin_client, new_url=url)
    assert channel.told.get().state == known


def test_what_waits_for_a_channel_is_given_up_when_it_is_switched_off(
    admin_client: Client, world: World
) -> None:
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1:9/")
    waiting = channel.notifications.create(kind="opened", level="warning", created_at=world.now)
    edited(admin_client, enabled=None)
    waiting.refresh_from_db()
    assert waiting.given_up_at is not None
    assert not Channel.objects.get().enabled


@pytest.mark.django_db(transaction=True)
def test_a_channel_is_added_and_switched_outside_of_a_test_as_well(
    admin_client: Client, world: World
) -> None:
    incident = seen_by_somebody(world)
    assert admin_client.post(f"{ROOT}add/", NEW).status_code == 302
    edited(admin_client, enabled=None)
    Incident.objects.update(notify_at=None)
    edited(admin_client)
    assert is_looked_at(incident)


ODD = {
    "new_url": ("foo://bar", "Nothing can be sent to a URL of that form."),
    "hosts": ("nohost", "There is no host named nohost; known are local."),
    "plans": ("pro\nno-such-plan", "There is no plan named no-such-plan; known are"),
    "timezone": ("Mars/Olympus", "It must be a time zone such as Europe/Berlin."),
}


@pytest.mark.parametrize("field", ODD)
def test_the_desk_refuses_the_channels_that_the_fleet_file_refuses(
    admin_client: Client, world: World, field: str
) -> None:
    value, words = ODD[field]
    page = admin_client.post(f"{ROOT}add/", {**NEW, field: value})
    assert words in " ".join(map(unescape, page.context["adminform"].form.errors[field]))
    assert not Channel.objects.exists()
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/")
    page = admin_client.post(f"{ROOT}{Channel.objects.get().pk}/change/", {**NEW, field: value})
    assert field in page.context["adminform"].form.errors
    assert Channel.objects.get().url == "json://127.0.0.1:9/"


def test_a_channel_for_hosts_and_plans_there_are_is_saved(admin_client: Client, world: World) -> None:
    fields = {**NEW, "hosts": "local", "plans": "pro", "timezone": "Europe/Berlin", "customers": "later"}
    assert admin_client.post(f"{ROOT}add/", fields).status_code == 302
    assert (Channel.objects.get().hosts, Channel.objects.get().plans) == (["local"], ["pro"])
