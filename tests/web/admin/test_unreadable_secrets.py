"""Pages and forms of rows whose secrets no key opens: whatever needs none of them works as before."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Model
from django.test import Client

from instances.admin.forms import UNREADABLE_URL
from instances.models import Channel, Registry
from instances.models.encrypted import Encrypted
from tests.desk import said
from tests.factories import World
from tests.fast.models.test_unreadable import spoil, stored
from tests.web.desk_actions import BECAUSE, PLAN

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
CHANNEL = {"name": "ops", "min_level": "warning", "incidents": "on", "timezone": "UTC", **BECAUSE}
URL = "json://127.0.0.1:9/x"


def spoiled(row: Model) -> Any:
    for column in row._meta.concrete_fields:
        if isinstance(column, Encrypted):
            spoil(row, column.attname)
    return row


@pytest.fixture
def channel(db: None) -> Channel:
    return spoiled(Channel.objects.create(name="ops", url=URL))  # type: ignore[no-any-return]


def change(client: Client, row: Model, fields: dict[str, str]) -> Any:
    return client.post(f"/admin/instances/{row._meta.model_name}/{row.pk}/change/", fields)


def test_a_channel_can_be_switched_off_and_keeps_what_it_has(admin_client: Client, channel: Channel) -> None:
    token = stored(channel, "url")
    assert change(admin_client, channel, CHANNEL).status_code == 302
    kept = Channel.objects.get()
    assert (kept.enabled, kept.min_level, stored(kept, "url")) == (False, "warning", token)


def test_a_channel_stays_on_with_another_url_alone(admin_client: Client, channel: Channel) -> None:
    page = change(admin_client, channel, {**CHANNEL, "enabled": "on"})
    assert page.context["adminform"].form.errors == {"new_url": [UNREADABLE_URL]}
    assert change(admin_client, channel, {**CHANNEL, "enabled": "on", "new_url": URL}).status_code == 302
    assert Channel.objects.get().url == URL


def test_other_forms_are_taken_without_it(admin_client: Client, world: World) -> None:
    registry = spoiled(Registry.objects.create(name="a.io", username="u", password="p"))
    spoiled(world.plan)
    assert change(admin_client, registry, {"name": "a.io", "username": "v", **BECAUSE}).status_code == 302
    assert change(admin_client, world.plan, {"name": "pro", **PLAN}).status_code == 302
    assert Registry.objects.get().username == "v"


def test_every_page_of_such_a_row_is_shown(admin_client: Client, world: World, channel: Channel) -> None:
    registry = Registry.objects.create(name="a.io", username="u", password="p")
    rows = [world.instance(), world.plan, world.host, registry, channel]
    for row in map(spoiled, rows):
        base = f"/admin/instances/{row._meta.model_name}/"
        for page in ("", f"{row.pk}/change/", f"{row.pk}/history/"):
            assert admin_client.get(f"{base}{page}").status_code == 200, page


def test_a_variable_beside_unreadable_ones_is_refused_in_a_sentence(
    admin_client: Client, world: World
) -> None:
    for row in (spoiled(world.instance()), spoiled(world.plan)):
        page = f"/admin/instances/{row._meta.model_name}/{row.pk}/secrets/"
        answer: Any = admin_client.post(page, {"name": "A", "value": "b", **BECAUSE})
        assert "can't be decrypted" in said(answer)
