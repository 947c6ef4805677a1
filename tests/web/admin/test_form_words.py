"""Forms of the desk are filled in by people who have not read the code."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.test import Client

from instances.models import Host
from tests.factories import World
from tests.web.admin.test_odd_values import BEFORE, HOST, PLAN

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@pytest.mark.parametrize(
    ("model", "labels", "hints"),
    [
        (
            "host",
            {"Docker URL", "TLS", "SSH", "Without TLS"},
            {"Empty: the engine that DOCKER_HOST of the workers names.", "It takes no new instances."},
        ),
        ("plan", {"CPUs", "Processes", "Public URL"}, {"Empty: 512."}),
        ("channel", {"Least level", "Time zone"}, {"An Apprise URL such as json://host/path."}),
    ],
)
def test_a_form_says_what_its_fields_take(
    admin_client: Client, world: World, model: str, labels: set[str], hints: set[str]
) -> None:
    page = unescape(admin_client.get(f"/admin/instances/{model}/add/").content.decode())
    found = {
        " ".join(re.sub("<[^>]*>", " ", each).split()) for each in re.findall("(?s)<label.*?</label>", page)
    }
    assert labels <= {label.removesuffix(" *") for label in found}
    assert {hint for hint in hints if hint not in page} == set()


def test_files_of_a_connection_are_written_as_in_the_fleet_file(admin_client: Client) -> None:
    files = {"ca": "/c/ca.pem", "cert": "/c/cert.pem", "key": "/c/key.pem"}
    fields = {**BEFORE[HOST], "docker_url": "tcp://10.0.0.1:2376"}
    typed = "\n".join(f"{name}: {path}" for name, path in files.items())
    assert admin_client.post(f"/admin/{HOST}", {**fields, "tls": typed}).status_code == 302
    host = Host.objects.get(name="odd")
    assert (host.tls, host.ssh) == (files, None)
    page = f"/admin/instances/host/{host.pk}/change/"
    assert typed in unescape(admin_client.get(page).content.decode())
    refused = admin_client.post(page, {**fields, "tls": "cart: /c/cert.pem"})
    assert "cart is not a known option." in unescape(refused.content.decode())


def test_what_is_wrong_inside_a_document_is_named(admin_client: Client, world: World) -> None:
    wrong = {
        HOST: {"docker_url": "tcp://10.0.0.1:2376", "tls": "ca: /c/ca.pem\nkey: 7"},
        PLAN: {"log_alerts": "- {within: soon}"},
    }
    pages = {
        form: unescape(admin_client.post(f"/admin/{form}", {**BEFORE[form], **fields}).content.decode())
        for form, fields in wrong.items()
    }
    assert "cert: Field required" in pages[HOST] and "key: Input should be a valid string" in pages[HOST]
    assert "has no TLS" not in pages[HOST]
    assert "match: Field required" in pages[PLAN]
    assert "within: must be a time" in pages[PLAN]


def test_who_is_not_let_in_is_told_why_in_one_sentence(client: Client) -> None:
    refused = client.post("/admin/login/", {"username": "ada", "password": "wrong"}).content.decode()
    assert "Nobody who may sign in here has that name and password." in refused
    assert "staff account" not in refused
