"""People at the desk, for its tests: who they are, what they do, and text that would run if a page let it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client

from instances.models import AuditEntry

INSTANCE = "/admin/instances/instance/"
PASSWORD = "pw-Of-the-desk-7"
EVIL = '<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"\'{{7*7}}'


def person(role: str) -> User:
    """A member of the group of that name, who may log in."""
    user = User.objects.create_user(role, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def at_desk(role: str) -> Client:
    """A browser in which somebody of that role is logged in."""
    client = Client()
    client.force_login(User.objects.filter(username=role).first() or person(role))
    return client


def said(response: HttpResponse) -> str:
    """The sentences the person reads next."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))  # type: ignore[attr-defined]


def do(role: str, instance: Any, verb: str, **fields: str) -> HttpResponse:
    """Somebody of that role presses a button of the instance's page."""
    return at_desk(role).post(f"{INSTANCE}{instance.pk}/do/{verb}/", fields)  # type: ignore[return-value]


def audited(action: str) -> AuditEntry:
    """The last entry of the audit log for that action."""
    return AuditEntry.objects.filter(action=action).order_by("pk").latest("pk")
