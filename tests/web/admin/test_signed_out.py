"""A session that ended, a cookie that is missing, a page that is none: told in a sentence, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import clear_script_prefix, set_script_prefix
from pytest_django.fixtures import Settings

from instances.admin.signed_out import SEND_AGAIN
from instances.models import Operation
from tests.desk import INSTANCE, PASSWORD, at_desk, person, said
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


def sign_in(client: Client, address: str) -> str:
    """Sign in where a redirect led, and go on to where that leads; returns the page that ends it."""
    page = client.get(address).content.decode()
    assert "You were signed out, so nothing was done." in page
    landed = client.post(address, {"username": "operator", "password": PASSWORD}, follow=True)
    assert landed.status_code == 200
    return landed.content.decode()


def test_a_button_of_a_session_that_ended_leads_back_with_the_reason(world: World) -> None:
    instance, client = world.instance("c1"), Client()
    person("operator")
    sent = client.post(f"{INSTANCE}{instance.pk}/do/restart/", {"reason": "it answers 503 & more"})
    page = sign_in(client, sent.headers["Location"])
    assert "<title>" in page and "c1" in page
    assert SEND_AGAIN in page
    assert 'value="it answers 503 &amp; more"' in page
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "path", ["plan/{plan}/update/", "incident/{incident}/acknowledge/", "host/{host}/test/"]
)
def test_the_same_holds_for_every_form(world: World, path: str) -> None:
    person("operator")
    keys = {"plan": world.plan.pk, "host": world.host.pk, "incident": world.incident(world.instance()).pk}
    client, address = Client(), f"/admin/instances/{path.format(**keys)}"
    sent = client.post(address, {"reason": "because of it"})
    assert "Send it once more" in sign_in(client, sent.headers["Location"])


def test_a_form_of_a_list_says_that_nothing_was_done(world: World) -> None:
    client = Client()
    person("operator")
    sent = client.post(INSTANCE, {"action": "restart_selected", "_selected_action": "1"})
    assert "c1" in sign_in(client, sent.headers["Location"]) or not Operation.objects.exists()


def test_whoever_opens_the_address_of_a_form_sees_its_page(world: World) -> None:
    instance = world.instance("c1")
    response = at_desk("operator").get(f"{INSTANCE}{instance.pk}/do/restart/")
    assert response.headers["Location"] == f"{INSTANCE}{instance.pk}/change/"
    assert "Send it once more" in said(response)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["instance/{}/do/restart/", "instance/{}/ask/logs/", "instance/{}/secrets/", "incident/{}/mute/"]
)
@pytest.mark.parametrize("key", ["%0a", "1%0a", "%00", "a_b"])
def test_a_form_of_nothing_has_no_page(world: World, path: str, key: str) -> None:
    led = at_desk("operator").get(f"/admin/instances/{path.format(key)}", follow=True)
    assert led.status_code == 404


@pytest.mark.parametrize(
    ("role", "path", "status", "words"),
    [
        ("viewer", "auth/user/", 403, "You may not see this page"),
        ("viewer", "instances/instance/99/change/", 404, "There is nothing at this address"),
        ("viewer", "../nowhere", 404, "There is nothing at this address"),
    ],
)
def test_refusals_are_pages_of_our_own(world: World, role: str, path: str, status: int, words: str) -> None:
    response = at_desk(role).get(f"/admin/{path}")
    page = response.content.decode()
    assert response.status_code == status and words in page
    assert "desk.css" in page and "To the dashboard" in page and str(status) in page


def test_a_missing_cookie_is_told_in_our_own_words(world: World) -> None:
    instance, client = world.instance("c1"), Client(enforce_csrf_checks=True)
    client.force_login(person("operator"))
    response = client.post(f"{INSTANCE}{instance.pk}/do/restart/", {"reason": "x"})
    page = response.content.decode()
    assert response.status_code == 403 and "load the page anew, and send it once more" in page
    assert "CSRF" not in page and "Django" not in page


def test_a_request_for_another_site_and_a_defect_have_pages_too(world: World, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["desk.example.com"]
    strange = Client().get("/admin/", headers={"host": "elsewhere.example.com"})
    assert strange.status_code == 400 and "can't be understood" in strange.content.decode()


def test_the_api_keeps_its_problem_documents(world: World) -> None:
    response = Client().get("/api/v1/nowhere")
    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/problem+json")


@pytest.fixture
def behind(settings: Settings) -> Iterator[str]:
    """A path that the proxy takes off, as the web process is told of it with each request."""
    settings.FORCE_SCRIPT_NAME = "/behind"
    set_script_prefix("/behind/")
    yield "/behind"
    clear_script_prefix()


def test_behind_a_path_the_way_to_signing_in_leads_there(client: Client, behind: str) -> None:
    assert client.get("/admin/").headers["Location"] == f"{behind}/admin/login/?next={behind}/admin/"
    page = client.get("/admin/login/").content.decode()
    assert f'action="{behind}/admin/login/"' in page and 'href="/admin' not in page
