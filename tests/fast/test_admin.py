"""The admin shows the fleet and what was done to it, and neither secrets nor ways around the operations."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import World

PAGES = ["instance", "host", "plan", "operation", "sweep", "healthcheck"]
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@pytest.mark.parametrize("page", PAGES)
def test_every_list_opens(world: World, admin_client: Client, page: str) -> None:
    world.instance("c1")
    world.restart()
    assert admin_client.get(f"/admin/instances/{page}/").status_code == 200


def test_the_fleet_is_listed_with_its_status(world: World, admin_client: Client) -> None:
    world.instance("c1")
    page = admin_client.get("/admin/instances/instance/?q=c1").content.decode()
    assert "c1" in page
    assert "healthy" in page


def test_an_instance_is_shown_without_its_environment_and_not_changed(
    world: World, admin_client: Client
) -> None:
    instance = world.instance("c1")
    instance.env = {"API_KEY": "s3ntinel-of-the-admin"}
    instance.save()
    address = f"/admin/instances/instance/{instance.pk}/change/"
    page = admin_client.get(address)
    assert page.status_code == 200
    assert "s3ntinel-of-the-admin" not in page.content.decode()
    assert admin_client.post(address, {"customer_id": "other"}).status_code == 403
    assert admin_client.get("/admin/instances/instance/add/").status_code == 403


def test_a_plans_environment_is_not_in_its_form(world: World, admin_client: Client) -> None:
    world.plan.env = {"SHARED_KEY": "s3ntinel-of-the-plan"}
    world.plan.save()
    page = admin_client.get(f"/admin/instances/plan/{world.plan.pk}/change/").content.decode()
    assert "s3ntinel-of-the-plan" not in page


def test_nobody_gets_in_without_a_password(client: Client) -> None:
    assert client.get("/admin/instances/instance/").status_code == 302


def test_the_web_process_says_that_it_lives(client: Client) -> None:
    assert client.get("/healthz").json() == {"ok": True, "status": "live"}
