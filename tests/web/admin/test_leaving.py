"""Customers that are being removed, and data that is to go: seen in the lists, with what is waited for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from instances.models import Instance, PendingPurge
from tests.desk import INSTANCE, at_desk
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
PURGES = "/admin/instances/pendingpurge/"


def text(client: Client, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, address
    return page.content.decode()


def test_a_customer_that_is_being_removed_looks_so(world: World) -> None:
    stays, leaves = world.instance("stays"), world.instance("leaves")
    Instance.objects.filter(pk=leaves.pk).update(leaving_at=world.now)
    client = at_desk("viewer")
    assert "leaving" in text(client, INSTANCE)
    only = text(client, f"{INSTANCE}?status=leaving")
    assert f"{INSTANCE}{leaves.pk}/" in only and f"{INSTANCE}{stays.pk}/" not in only
    assert "It is being removed since 1 Mar 2026 12:00 UTC" in text(client, f"{INSTANCE}{leaves.pk}/change/")
    assert "It is being removed" not in text(client, f"{INSTANCE}{stays.pk}/change/")


def test_data_that_is_to_go_says_what_it_waits_for_and_when_it_is_tried_again(world: World) -> None:
    row = PendingPurge.objects.create(
        host=world.host, volume="dockmgr-former-data", customer_id="former", holders="nightly-backup",
        asked_at=world.now - timedelta(days=1), tried_at=world.now,
    )  # fmt: skip
    listed = text(at_desk("admin"), PURGES)
    shown = text(at_desk("admin"), f"{PURGES}{row.pk}/change/")
    assert all(said in page for page in (listed, shown) for said in ("former", "nightly-backup"))
    assert "about 1 Mar 2026 12:30 UTC" in shown and "Try now" in shown
    assert "Try now" not in text(at_desk("viewer"), f"{PURGES}{row.pk}/change/")
