"""People at the desk, for its tests: one of each group, and text that would run if a page let it."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.test import Client

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
