"""What somebody did at the desk goes into the audit log: who, from where, what, why, and what came of it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from instances.access.audit import Author, audit
from instances.db.clock import SYSTEM
from instances.lib import client_ip
from instances.models import AuditEntry

NAME_LENGTH = 64
SAME_READING = timedelta(minutes=5)


def actor(request: HttpRequest) -> str:
    """The person who asks, by the name records have for them."""
    return person(request.user)


def person(user: AbstractBaseUser | AnonymousUser) -> str:
    """Somebody at the desk, as operations, incidents and the audit log name them."""
    return f"admin:{user.get_username()}"[:NAME_LENGTH]


def address(request: HttpRequest) -> str | None:
    """The IP address the request came from, as far as that can be trusted."""
    return client_ip.source(request.META, settings.TRUSTED_PROXIES)


def record(request: HttpRequest, action: str, target: str, outcome: str, reason: str = "") -> None:
    """Write down one action."""
    by = Author("admin", actor(request), address(request), reason)
    audit(by, action, target, outcome, SYSTEM.now())


def record_reading(request: HttpRequest, action: str, target: str) -> None:
    """Write down that somebody reads; going on reading within five minutes is the same reading."""
    since = SYSTEM.now() - SAME_READING
    earlier = AuditEntry.objects.filter(target=target, at__gt=since, action=action, actor=actor(request))
    if not earlier.exists():
        record(request, action, target, "done")
