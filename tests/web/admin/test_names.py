"""A host or plan keeps its name at the desk, by which channels and API tokens that are limited know it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from instances.admin.forms import NAME_STAYS
from instances.models import Host, Plan
from tests.factories import World
from tests.web.admin.test_odd_values import BEFORE
from tests.web.admin.test_odd_values import HOST as NEW_HOST
from tests.web.admin.test_odd_values import PLAN as NEW_PLAN

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]


@pytest.mark.parametrize(("model", "before"), [(Host, NEW_HOST), (Plan, NEW_PLAN)])
def test_a_name_stays_once_it_is_given(
    admin_client: Client, world: World, model: type[Host] | type[Plan], before: str
) -> None:
    fields: dict[str, Any] = BEFORE[before]
    assert admin_client.post(f"/admin/{before}", fields).status_code == 302
    row = model._default_manager.get(name="odd")
    page = f"/admin/{before.removesuffix('add/')}{row.pk}/change/"
    assert re.search('name="name"[^>]* readonly', admin_client.get(page).content.decode())
    refused = admin_client.post(page, {**fields, "name": "even"})
    assert (refused.status_code, NAME_STAYS in unescape(refused.content.decode())) == (200, True)
    assert admin_client.post(page, fields).status_code == 302
    assert model._default_manager.filter(name="odd").exists()
