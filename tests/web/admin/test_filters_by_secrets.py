"""No list of the desk can be filtered by an encrypted column: its text would show, letter by letter."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.http import HttpRequest

from instances.admin.read_only import DeskAdmin, is_by_secret
from instances.models.encrypted import Encrypted
from tests.desk import at_desk
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
LISTS = [desk for desk in admin.site._registry.values() if isinstance(desk, DeskAdmin)]


@pytest.mark.parametrize("desk", LISTS, ids=lambda desk: desk.opts.label)
def test_no_encrypted_column_is_looked_up(desk: DeskAdmin) -> None:
    secrets = [field.name for field in desk.opts.fields if isinstance(field, Encrypted)]
    for name in secrets:
        for lookup in (name, f"{name}__startswith", f"{name}__contains", f"{name}__isnull"):
            assert not desk.lookup_allowed(lookup, "g", HttpRequest()), lookup
    for relation in (field for field in desk.opts.fields if field.related_model):
        for other in relation.related_model._meta.fields:
            if isinstance(other, Encrypted):
                assert is_by_secret(desk.model, f"{relation.name}__{other.name}__startswith")


def test_all_that_have_secrets_are_among_them() -> None:
    names = {desk.opts.model_name for desk in LISTS for f in desk.opts.fields if isinstance(f, Encrypted)}
    assert {"instance", "plan", "channel", "registry"} <= names


@pytest.mark.parametrize(
    "query",
    [
        "env__startswith=gAAAAA",
        "former_values__contains=z",
        "plan__env__startswith=g",
        "health__pk__env__startswith=g",
        "usage__pk__plan__env__startswith=g",
    ],
)
def test_who_tries_is_refused(world: World, query: str) -> None:
    world.instance()
    assert at_desk("viewer").get(f"/admin/instances/instance/?{query}").status_code == 400
