"""What a page shows is fetched again with it: buttons, chart, incidents and description beside its state."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from instances.models import Channel, HealthCheck, Notification
from tests.desk import INSTANCE, at_desk
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
ACTIVE = re.compile(r"<script(?![^>]* src=)|<style| style=\"| on[a-z]+=\"")


def text(client: Client, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, address
    return page.content.decode()


def parts(page: str) -> list[str]:
    return re.findall(r'data-part="([^"]+)"', page)


def test_buttons_of_an_instance_follow_its_state(world: World) -> None:
    instance, client = world.instance("c1"), at_desk("operator")
    live = f"{INSTANCE}{instance.pk}/live/"
    assert 'data-opens="dialog-pause"' in text(client, live)
    client.post(f"{INSTANCE}{instance.pk}/do/pause/", {"reason": "x"})
    assert 'data-opens="dialog-resume"' in text(client, live)
    assert 'data-opens="dialog-pause"' not in text(client, live)


def test_chart_incidents_and_description_of_an_instance_are_fetched_again(world: World) -> None:
    instance, client = world.instance("c1"), at_desk("admin")
    past = f"{INSTANCE}{instance.pk}/past/?period=30d"
    assert parts(text(client, past)) == ["history", "description", "list of incidents"]
    assert "Nothing was recorded" in text(client, past) and "There was none." in text(client, past)
    incident = world.incident(instance)
    HealthCheck.objects.create(
        instance=instance, outcome="fail", status="suspect", consecutive_failures=1,
        checked_at=incident.opened_at,
    )  # fmt: skip
    assert incident.message in text(client, past)


def test_every_card_of_the_page_is_fetched_again_or_has_a_state_of_its_own(world: World) -> None:
    instance = world.instance("c1")
    page = text(at_desk("admin"), f"{INSTANCE}{instance.pk}/change/")
    cards = re.findall(r'<section class="desk-card"([^>]*)>\s*<h2>([^<]+)', page)
    alone = {title for rest, title in cards if "data-part" not in rest}
    assert alone == {"Container now", "Log"}
    assert "Ask again" in page
    assert re.findall(r'data-refresh="[^"]*/(live|past)/', page) == ["live", "past"]


def test_all_of_an_incident_is_fetched_again(world: World) -> None:
    incident = world.incident(world.instance())
    client, live = at_desk("operator"), f"/admin/instances/incident/{incident.pk}/live/"
    assert "dialog-acknowledge" in text(client, live)
    client.post(live.replace("live", "acknowledge"), {"reason": "on it"})
    assert "dialog-acknowledge" not in text(client, live) and "dialog-mute" in text(client, live)


def test_the_page_of_a_message_keeps_to_its_own_policy(world: World, admin_client: Client) -> None:
    incident = world.incident(world.instance())
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1:9/x")
    sent = Notification.objects.create(
        channel=channel, incident=incident, kind="opened", level="info", created_at=world.now,
        payload={"title": "<b>c1</b>", "restarts": 1, "link": None},
    )  # fmt: skip
    page = text(admin_client, f"/admin/instances/notification/{sent.pk}/change/")
    assert not ACTIVE.search(page.replace('class="material-symbols', ""))
    assert "&lt;b&gt;c1&lt;/b&gt;" in page and "desk-document" in page


def test_without_a_channel_the_desk_says_that_nobody_is_told(world: World, admin_client: Client) -> None:
    incident = world.incident(world.instance())
    pages = ("/admin/", f"/admin/instances/incident/{incident.pk}/change/")
    assert all("nobody else is told" in text(admin_client, page) for page in pages)
    Channel.objects.create(name="ops", url="json://127.0.0.1:9/x")
    assert not any("nobody else is told" in text(admin_client, page) for page in pages)
