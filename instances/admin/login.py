"""Logging in: failures are counted per address and per user name, and too many end in a pause."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest
from unfold.forms import AuthenticationForm

from instances.access.audit import audit
from instances.admin import trail
from instances.db.clock import SYSTEM
from instances.lib import client_ip
from instances.models import AuditEntry

FAILED = "login failed"
TARGET_LENGTH = 128


class ThrottledLogin(AuthenticationForm):
    """Asks for no password to be checked after too many failures, right or wrong."""

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", ""))
        if self.request is not None and _too_many(trail.address(self.request), name):
            raise ValidationError("Too many failed attempts. Wait some minutes and try again.", code="wait")
        cleaned: dict[str, Any] = super().clean()
        return cleaned


admin.site.login_form = ThrottledLogin


def _too_many(source: str | None, name: str) -> bool:
    """Whether this address or this name has used up its failures; each is counted by an index."""
    since = SYSTEM.now() - timedelta(seconds=settings.LOGIN_FAILURE_WINDOW)
    failures = AuditEntry.objects.filter(action=FAILED, at__gt=since)
    most = settings.LOGIN_FAILURES_ALLOWED
    counted = (_network(source), _named(name))
    return any(failures.filter(target=target)[:most].count() >= most for target in counted)


def _network(source: str | None) -> str:
    return f"from {client_ip.network(source)}"


def _named(name: str) -> str:
    return f"as {name}".replace("\0", "")[:TARGET_LENGTH]


@receiver(user_login_failed)
def note_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Two lines, so that the address and the name are each counted."""
    if request is None:
        return
    name, source, now = str(credentials.get("username", "")), trail.address(request), SYSTEM.now()
    for target in (_network(source), _named(name)):
        audit("admin", _named(name).removeprefix("as "), source, FAILED, target, "", "refused", now)


@receiver(user_logged_in)
def note_login(request: HttpRequest | None, user: Any, **_: Any) -> None:
    _note(request, user, "login")


@receiver(user_logged_out)
def note_logout(request: HttpRequest | None, user: Any, **_: Any) -> None:
    _note(request, user, "logout")


def _note(request: HttpRequest | None, user: Any, action: str) -> None:
    if request is not None and user is not None and request.META.get("REMOTE_ADDR"):
        name = trail.person(user)
        audit("admin", name, trail.address(request), action, name, "", "done", SYSTEM.now())
