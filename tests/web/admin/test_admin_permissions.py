"""Who may do what: the three groups, every route of the desk, and no way around."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from instances.models import AuditEntry, Channel
from tests.desk import at_desk
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
migration: Any = import_module("instances.migrations.0005_permissions_and_groups")


@pytest.fixture
def fleet(world: World) -> dict[str, Any]:
    """One of everything, by what the addresses below call it."""
    instance = world.instance("c1")
    incident = world.incident(instance)
    channel = Channel.objects.create(name="ops", url="json://127.0.0.1/x")
    return {
        "instance": instance.pk, "incident": incident.pk, "channel": channel.pk,
        "plan": world.plan.pk, "host": world.host.pk,
    }  # fmt: skip


FIELDS = {"reason": "because", "confirmed": "c1", "name": "API_KEY", "value": "mine"}


def test_what_a_viewer_tried_is_written_down(fleet: dict[str, Any]) -> None:
    at_desk("viewer").post(f"/admin/instances/instance/{fleet['instance']}/do/restart/", FIELDS)
    entry = AuditEntry.objects.get(action="restart")
    assert (entry.actor, entry.target, entry.outcome) == ("admin:viewer", "c1", "denied")


def test_a_viewer_sees_the_pages_without_what_is_not_for_him(fleet: dict[str, Any]) -> None:
    client = at_desk("viewer")
    page = client.get(f"/admin/instances/instance/{fleet['instance']}/change/").content.decode()
    assert "c1" in page and "API_KEY" not in page
    for hidden in ("data-logs", "/do/restart/", "Validate", "/secrets/", "Decommission"):
        assert hidden not in page
    for kind in ("host", "plan", "channel", "incident"):
        seen = client.get(f"/admin/instances/{kind}/{fleet[kind]}/change/")
        assert seen.status_code == 200
        assert 'name="_save"' not in seen.content.decode()
        assert 'name="reason"' not in seen.content.decode()


def test_an_operator_is_shown_what_he_may_do_alone(fleet: dict[str, Any]) -> None:
    page = at_desk("operator").get(f"/admin/instances/instance/{fleet['instance']}/change/").content.decode()
    assert "/do/restart/" in page and "data-logs" in page and "API_KEY" in page
    assert "Decommission" not in page and "/secrets/" not in page


def test_permissions_are_each_their_own(world: World) -> None:
    instance = world.instance("c1")
    client = at_desk("viewer")
    user = User.objects.get(username="viewer")
    address = f"/admin/instances/instance/{instance.pk}/change/"
    for codename, sign in (("view_logs", "data-logs"), ("view_env_names", "API_KEY"),
                           ("change_secrets", "/secrets/"), ("decommission", "/do/decommission/"),
                           ("operate_instance", "/do/pause/")):  # fmt: skip
        assert sign not in client.get(address).content.decode()
        user.user_permissions.set([Permission.objects.get(codename=codename)])
        assert sign in client.get(address).content.decode()
    user.user_permissions.clear()


def test_an_administrator_makes_no_superuser_and_changes_none(world: World) -> None:
    client = at_desk("admin")
    me = User.objects.get(username="admin")
    fields = {"username": "admin", "is_superuser": "on", "is_staff": "on", "is_active": "on"}
    fields |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    fields |= {"groups": str(Group.objects.get(name="admin").pk)}
    assert client.post(f"/admin/auth/user/{me.pk}/change/", fields).status_code == 302
    me.refresh_from_db()
    assert not me.is_superuser
    boss = User.objects.create_superuser("boss", password="pw-of-the-boss")
    assert client.post(f"/admin/auth/user/{boss.pk}/change/", fields).status_code == 403
    assert (
        client.post(f"/admin/auth/user/{boss.pk}/password/", {"password1": "a", "password2": "a"}).status_code
        == 403
    )
    assert client.post(f"/admin/auth/user/{boss.pk}/delete/", {"post": "yes"}).status_code == 403


def test_groups_that_were_edited_stay_as_they_are(world: World) -> None:
    viewers = Group.objects.get(name="viewer")
    viewers.permissions.clear()
    Group.objects.get(name="operator").delete()
    migration.make_groups(apps, None)
    assert viewers.permissions.count() == 0
    assert Group.objects.get(name="operator").permissions.filter(codename="operate_instance").exists()


def test_the_migrations_permissions_are_djangos_own(db: None) -> None:
    before = Permission.objects.count()
    call_command("migrate", verbosity=0)
    assert Permission.objects.count() == before
    duplicates = Permission.objects.filter(codename="view_instance").count()
    assert duplicates == 1
