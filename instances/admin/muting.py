"""Muting hosts and plans from their pages: two buttons, and who muted what until when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from instances.admin import trail
from instances.admin.orders import carry_out, page_of, require
from instances.admin.read_only import Page
from instances.admin.signed_out import typed_reason
from instances.admin.verbs import OPERATE, MuteForm, OptionalReasonForm, mute_as_asked
from instances.alerts import mute as muting
from instances.db.clock import SYSTEM
from instances.models import Host, Plan

Column = Literal["host", "plan"]
MODELS: dict[Column, type[Host] | type[Plan]] = {"host": Host, "plan": Plan}


def pages(column: Column) -> list[Page]:
    """`<id>/mute/` and `<id>/unmute/` of the model's pages."""
    return [
        ("<int:key>/mute/", _view(column, _mute, MuteForm), "mute"),
        ("<int:key>/unmute/", _view(column, _unmute, OptionalReasonForm), "unmute"),
    ]


def context(request: HttpRequest, column: Column, row: Host | Plan) -> dict[str, Any]:
    """What the page shows of the row's own mutes, and the forms of the buttons."""
    may_mute, initial = request.user.has_perm(OPERATE), typed_reason(request)
    return {
        "mutes": list(muting.Scope(column, row).mutes(SYSTEM.now()).order_by("-until")),
        "mute_url": reverse(f"admin:instances_{column}_mute", args=[row.pk]) if may_mute else "",
        "unmute_url": reverse(f"admin:instances_{column}_unmute", args=[row.pk]) if may_mute else "",
        "mute_form": MuteForm(auto_id="mute_%s", initial=initial),
        "unmute_form": OptionalReasonForm(auto_id="unmute_%s", initial=initial),
    }


def _view(
    column: Column, work: Callable[[HttpRequest, muting.Scope, dict[str, Any]], str], form: type[Any]
) -> Callable[..., HttpResponse]:
    action = work.__name__.strip("_")

    @require_POST
    def view(request: HttpRequest, key: int) -> HttpResponse:
        row: Any = get_object_or_404(MODELS[column], pk=key)
        target = f"{column} {row.name}"
        require(request, OPERATE, action, target)
        scope = muting.Scope(column, row)
        done = lambda fields: work(request, scope, fields)  # noqa: E731
        carry_out(request, form(request.POST), action=action, target=target, work=done)
        return page_of(row)

    return view


def _mute(request: HttpRequest, scope: muting.Scope, fields: dict[str, Any]) -> str:
    ends = mute_as_asked(scope, fields, trail.actor(request))
    return f"{scope.column.capitalize()} {scope.name} is muted {ends}."


def _unmute(request: HttpRequest, scope: muting.Scope, fields: dict[str, Any]) -> str:
    ended = muting.unmute(scope, SYSTEM.now(), by=trail.actor(request), reason=fields["reason"])
    said = "is no longer" if ended else "was not"
    return f"{scope.column.capitalize()} {scope.name} {said} muted."
