"""What a list of the desk says of itself: its name in the tab, and what to do where it is empty."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from instances.db.clock import SYSTEM
from instances.models import Channel, HealthCheck
from tests.desk import person
from tests.factories import World
from tests.web.admin.test_desk_is_true import operation

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


def _page(client: Client, address: str) -> str:
    return client.get(f"/admin/{address}").content.decode()


def test_a_list_is_called_by_its_name_in_the_tab(admin_client: Client) -> None:
    names = {
        "instances/instance/": "Instances",
        "instances/bulk/": "Selections",
        "instances/apitoken/": "API tokens",
        "instances/pendingpurge/": "Data to be removed",
        "auth/user/": "Users",
        "django_celery_beat/periodictask/": "Periodic tasks",
    }
    tabs = {
        address: re.search("<title>(.*?)</title>", _page(admin_client, address), re.S) for address in names
    }
    assert {address: tab and tab[1].strip() for address, tab in tabs.items()} == {
        address: f"{name} | dockmgr" for address, name in names.items()
    }


def test_an_empty_list_says_how_it_comes_to_have_something(admin_client: Client, world: World) -> None:
    page = _page(admin_client, "instances/channel/")
    assert "No channels." in page
    assert "Nobody is told of incidents until there is one." in page
    assert "Add channel" in page
    page = _page(admin_client, "instances/instance/")
    assert "manage.py provision" in page
    assert "See all" not in page


def test_where_nothing_fits_the_way_back_is_to_all(admin_client: Client, world: World) -> None:
    Channel.objects.create(name="ops", url="json://127.0.0.1/hook")
    page = _page(admin_client, "instances/channel/?q=other")
    assert "Nothing fits the search or the filters." in page
    assert re.search(r'<a href="\?"[^>]*>See all', page)
    assert "Nobody is told" not in page
    assert "Show all" not in _page(admin_client, "instances/channel/")


def test_a_column_says_what_a_person_wants_to_know(admin_client: Client, world: World) -> None:
    person("operator")
    operation("c1", "rolled_back", 0)
    users = _page(admin_client, "auth/user/")
    assert re.search(r"field-groups_shown[^>]*>\s*operator\s*<", users)
    assert re.search(r"field-groups_shown[^>]*>\s*superuser\s*<", users)
    assert re.search(r">\s*rolled back\s*<", _page(admin_client, "instances/operation/"))


def test_the_place_of_a_page_is_called_as_in_the_menu_and_a_row_by_its_own_name(
    admin_client: Client, world: World
) -> None:
    places = {
        "instances/plan/": "Plans",
        f"instances/plan/{world.plan.pk}/change/": "Plans pro",
        f"instances/plan/{world.plan.pk}/history/": "Plans pro",
        "auth/user/": "Users",
    }
    for address, place in places.items():
        [head] = re.findall("<h1.*?</h1>", _page(admin_client, address), re.S)
        words = re.sub(r"<[^>]*>|\u203a", " ", head).split()
        assert " ".join(words) == place


def test_a_heading_is_a_word_of_the_field_and_not_of_a_column(admin_client: Client, world: World) -> None:
    Channel.objects.create(name="ops", url="json://127.0.0.1/hook")
    HealthCheck.objects.create(
        instance=world.instance(), outcome="ok", status="healthy", consecutive_failures=0,
        checked_at=SYSTEM.now(), http_status=200, latency_ms=7,
    )  # fmt: skip
    headings = {
        "host": "Docker URL",
        "plan": "CPUs",
        "channel": "Least level",
        "healthcheck": "HTTP status",
    }
    for model, heading in headings.items():
        assert re.search(rf">\s*{heading}\s*<", _page(admin_client, f"instances/{model}/")), model
