"""Logging in: failures are counted for each pair of address and name; too many cost a pause that grows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.dispatch import receiver
from django.http import HttpRequest
from unfold.forms import AuthenticationForm

from instances.access.audit import Author, audit
from instances.admin import trail
from instances.db.clock import SYSTEM
from instances.lib import client_ip
from instances.lib.durations import span
from instances.lib.throttle import wait_after
from instances.models import AuditEntry

FAILED, LOGIN, UNLOCK = "login failed", "login", "unlock"
TARGET_LENGTH, NAME = 128, 64
MOST = 50  # failures that make a difference


class ThrottledLogin(AuthenticationForm):
    """Asks for no password to be checked while somebody has to wait, right or wrong."""

    error_messages: ClassVar[dict[str, Any]] = {
        **AuthenticationForm.error_messages,
        "invalid_login": "Nobody who may sign in here has that name and password. Capitals count.",
    }

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username", ""))
        if self.request is not None and (wait := _wait(trail.address(self.request), name)) > 0:
            sentence = f"Too many failed attempts. Wait {span(wait)} and try again."
            raise ValidationError(sentence, code="wait")
        cleaned: dict[str, Any] = super().clean()
        return cleaned


admin.site.login_form = ThrottledLogin


def _wait(source: str | None, name: str) -> float:
    """Seconds this address still has to wait before it tries this name again.

    Nobody is kept out by what others do: not from another address, and not with another name.
    """
    now, window = SYSTEM.now(), settings.LOGIN_FAILURE_WINDOW
    since = _forgiven(source, name, now - timedelta(seconds=window))
    failed = AuditEntry.objects.filter(action=FAILED, target=_pair(source, name), at__gt=since)
    moments = list(failed.order_by("-at").values_list("at", flat=True)[:MOST])
    wait = wait_after(len(moments), settings.LOGIN_FAILURES_ALLOWED, window)
    return (moments[0] + timedelta(seconds=wait) - now).total_seconds() if wait else 0.0


def _forgiven(source: str | None, name: str, since: datetime) -> datetime:
    """When the name was last unlocked, or signed in from this address; else `since`."""
    unlocked = Q(action=UNLOCK, surface="command", target=name)
    signed_in = Q(action=LOGIN, actor=f"admin:{name}"[: trail.NAME_LENGTH], address=source)
    rows = AuditEntry.objects.filter(unlocked | signed_in, at__gt=since).order_by("-at")
    return rows.values_list("at", flat=True).first() or since


def _pair(source: str | None, name: str) -> str:
    return f"{name[:NAME]} from {client_ip.network(source)}".replace("\0", "")


@receiver(user_login_failed)
def note_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if request is None:
        return
    name, source = str(credentials.get("username", "")), trail.address(request)
    actor = name[:TARGET_LENGTH].replace("\0", "")
    audit(Author("admin", actor, source), FAILED, _pair(source, name), "refused", SYSTEM.now())


@receiver(user_logged_in)
def note_login(request: HttpRequest | None, user: Any, **_: Any) -> None:
    _note(request, user, LOGIN)


@receiver(user_logged_out)
def note_logout(request: HttpRequest | None, user: Any, **_: Any) -> None:
    _note(request, user, "logout")


def _note(request: HttpRequest | None, user: Any, action: str) -> None:
    if request is not None and user is not None and request.META.get("REMOTE_ADDR"):
        name = trail.person(user)
        audit(Author("admin", name, trail.address(request)), action, name, "done", SYSTEM.now())
