"""What a list of the desk is filtered by: what its filters and links ask, whatever the address says.

Anything else would tell letter by letter what no page shows, or ask what no database can answer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from html import unescape
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

import instances
from instances.admin.read_only import DeskAdmin
from instances.models.encrypted import Encrypted
from instances.operations import service
from tests.desk import at_desk
from tests.factories import ASKED, World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
LISTS: list[Any] = list(admin.site._registry.values())
of_every_list = pytest.mark.parametrize("desk", LISTS, ids=lambda desk: desk.opts.label)
FURTHER = (
    "",
    "__startswith",
    "__contains",
    "__regex",
    "__isnull",
    "__in",
    "__range",
    "__gt",
    "__date",
    "__year__gt",
)
TEMPLATES = Path(instances.__file__).parent / "templates"
LINK = re.compile(r"""\{% url '(admin:\w+_changelist)' %\}\?([^"]+)""")
LINKS = sorted(
    {
        (name, unescape(re.sub(r"\{\{.*?\}\}", "x", query)))
        for page in TEMPLATES.rglob("*.html")
        for name, query in LINK.findall(page.read_text())
    }
)
NINES = "9" * 30
VALUES = ("x", "", "%00", "-1", "1.5", NINES, "9" * 5000, "%F0%9F%98%80", "%27%22%5C(", "1%2C2", "nan")
MANY_WORDS = f"q={'a+' * 1900}"
USUAL = ("p", "o", "q", "all", "e", "_facets", "_popup", "_to_field", "_changelist_filters", "nosuch")


def the_list(desk: DeskAdmin) -> str:
    return reverse(f"admin:{desk.opts.app_label}_{desk.opts.model_name}_changelist")


@of_every_list
def test_no_column_is_looked_up_that_no_filter_is_for(desk: DeskAdmin) -> None:
    filters = {name for name in desk.list_filter if isinstance(name, str)}
    known = {lookup for each in desk.list_filter for lookup in desk._lookups_of(each)}
    for field in desk.opts.get_fields():
        for lookup in {field.name + further for further in FURTHER} - known:
            assert not desk.lookup_allowed(lookup, "g", HttpRequest()), lookup
    assert not any(isinstance(desk.opts.get_field(name), Encrypted) for name in filters)


@pytest.mark.parametrize(
    "query",
    [
        "operation/?facts__registry_said__startswith=connection+refused",
        "operation/?created_at__year__gt=99999999999999999999",
        "instance/?env__startswith=gAAAAA",
        "instance/?plan__env__startswith=g",
        "instance/?usage__pk__plan__env__startswith=g",
        "instance/?port__range=1",
        "sweep/?started_at__gt=0001-01-01+00:00:00%2B14:00",
        "host/?tls__contains=x",
        "plan/?options__contains=x",
    ],
)
def test_who_tries_is_refused(world: World, query: str) -> None:
    world.instance()
    service.begin_restart("c1", ASKED)
    assert at_desk("viewer").get(f"/admin/instances/{query}").status_code == 400


@pytest.mark.parametrize(("name", "query"), LINKS)
def test_the_links_of_the_desk_are_answered(admin_client: Client, name: str, query: str) -> None:
    assert admin_client.get(f"{reverse(name)}?{query}").status_code == 200


def shown(desk: DeskAdmin, user: User, query: str) -> ChangeList:
    """The list that somebody sees at an address, with its rows read."""
    request = RequestFactory().get(f"{the_list(desk)}{query}")
    request.user = user
    request._messages = Mock()  # type: ignore[attr-defined]
    found: ChangeList = desk.get_changelist_instance(request)
    list(found.result_list)
    return found


@of_every_list
def test_every_choice_of_a_filter_is_answered(admin_user: User, desk: DeskAdmin) -> None:
    whole: Any = shown(desk, admin_user, "")
    for spec in whole.filter_specs:
        for choice in spec.choices(whole):
            shown(desk, admin_user, choice["query_string"])


@of_every_list
def test_an_odd_value_ends_well(admin_user: User, desk: DeskAdmin) -> None:
    filters = {lookup for each in desk.list_filter for lookup in desk._lookups_of(each)}
    asked = [f"{name}={value}" for name in sorted(filters) for value in VALUES]
    for query in (
        *asked,
        *(f"{name}={value}" for name in USUAL for value in ("x", "%00", NINES)),
        MANY_WORDS,
    ):
        with suppress(IncorrectLookupParameters, SuspiciousOperation):
            shown(desk, admin_user, f"?{query}")


@pytest.mark.parametrize(
    "address",
    [
        *(f"instances/{name}/{'9' * 5000}/change/" for name in ("plan", "apitoken", "instance", "host")),
        f"instances/plan/{NINES}/change/",
        "instances/apitoken/%00/change/",
    ],
)
def test_an_address_that_names_no_row_ends_well(admin_client: Client, address: str) -> None:
    assert admin_client.get(f"/admin/{address}").status_code in (302, 404)


@pytest.mark.parametrize(
    "address", ["periodictask/add/?start_time=x", "clockedschedule/add/?clocked_time=1,x"]
)
def test_an_address_fills_in_no_form(admin_client: Client, address: str) -> None:
    assert admin_client.get(f"/admin/django_celery_beat/{address}").status_code == 200
