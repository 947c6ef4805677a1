"""Which dockmgr runs is said at the desk, in the OpenAPI and to Prometheus."""

from __future__ import annotations

import platform

import pytest
from django.test import Client

from dockmgr import __version__
from instances.observability import exposition
from instances.observability.exposition import Metrics
from tests.desk import at_desk
from tests.factories import World
from tests.web.callers import Caller
from tests.web.scraping import scraped

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@pytest.mark.parametrize("address", ["/admin/", "/admin/instances/instance/"])
def test_the_foot_of_the_menu_says_the_version(address: str) -> None:
    assert f"dockmgr {__version__}" in at_desk("viewer").get(address).content.decode()


def test_the_login_page_tells_strangers_no_version(client: Client) -> None:
    page = client.get("/admin/login/")
    assert page.status_code == 200
    assert __version__ not in page.content.decode()


def test_the_openapi_says_the_version(world: World, caller: Caller) -> None:
    assert caller.get("/openapi.json").document["info"]["version"] == __version__


@pytest.mark.django_db(transaction=True)
def test_prometheus_is_told_the_version_and_pythons(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "queue_lengths", dict[str, int])
    found = scraped(Metrics(world.clock.now))
    assert found.value("dockmgr_build_info", version=__version__, python=platform.python_version()) == 1
