"""Carrying out what a form asks for: checked, done or refused in one sentence, and written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from instances.admin import trail
from instances.errors import DockmgrError


def require(request: HttpRequest, permission: str, action: str, target: str) -> None:
    """See that somebody may do this; who may not is written down. Raises PermissionDenied."""
    if not request.user.has_perm(permission):
        trail.record(request, action, target, "denied")
        raise PermissionDenied


def page_of(row: Model) -> HttpResponse:
    """Where somebody goes once a form about the row, or the order he placed, is done with."""
    return redirect(reverse(f"admin:instances_{row._meta.model_name}_change", args=[row.pk]))


def carry_out(
    request: HttpRequest,
    form: forms.Form,
    *,
    action: str,
    target: str,
    work: Callable[[dict[str, Any]], str],
) -> bool:
    """Do `work` with the form's fields; tells the person how it went, and whether it did go well."""
    if not form.is_valid():
        for name, problems in form.errors.items():
            label = form.fields[name].label if name in form.fields else ""
            messages.error(request, f"{label or name}: {' '.join(map(str, problems))}")
        return False
    reason = str(form.cleaned_data.get("reason", ""))
    try:
        done = work(form.cleaned_data)
    except DockmgrError as error:
        trail.record(request, action, target, str(error), reason)
        messages.error(request, str(error))
        return False
    trail.record(request, action, target, done, reason)
    messages.success(request, done)
    return True
