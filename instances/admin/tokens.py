"""API tokens: made and shown once, listed without their secret, revoked for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST
from unfold.decorators import display

from instances.access import tokens
from instances.access.reach import reach, reach_of
from instances.admin import trail
from instances.admin.orders import carry_out, page_of, require
from instances.admin.read_only import Page, PageAdmin
from instances.admin.verbs import ReasonForm
from instances.db.clock import SYSTEM
from instances.models import ApiToken

CHANGE = "instances.change_apitoken"
ADD = "instances.add_apitoken"
LASTS = (("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until it is revoked"))
NEW_PAGE = "desk/token_new.html"


class TokenForm(ReasonForm):
    """What a new token is called, may do, and how long it lasts."""

    name = forms.CharField(max_length=60, help_text="The service that will use it.")
    scope = forms.ChoiceField(choices=ApiToken.SCOPES)
    days = forms.ChoiceField(choices=LASTS, required=False, initial="90", label="Expires after")
    customers = forms.CharField(
        required=False, help_text="Only these, by id, with commas between them; empty for all."
    )
    plans = forms.CharField(required=False, help_text="Only customers of these plans; empty for all.")
    hosts = forms.CharField(required=False, help_text="Only customers on these hosts; empty for all.")
    field_order = ("name", "scope", "customers", "plans", "hosts", "days", "reason")


@admin.register(ApiToken)
class ApiTokenAdmin(PageAdmin):
    """Who may use the API. Nobody can read a token again."""

    page_template = "desk/token.html"
    when_empty = "A service that uses the HTTP API needs one."
    list_display = (
        "name",
        "scope",
        "state",
        "prefix",
        "created_by",
        "created_at",
        "last_used_at",
        "expires_at",
    )
    search_fields = ("name",)
    ordering = ("name",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(ADD)

    @display(label={"in force": "success", "revoked": "danger", "expired": "warning"})
    def state(self, token: ApiToken) -> str:
        if token.revoked_at is not None:
            return "revoked"
        return "in force" if tokens.in_force(token, SYSTEM.now()) else "expired"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Asks what the token is for, then shows it this one time."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TokenForm(request.POST if request.method == "POST" else None)
        made: list[str] = []
        if form.is_bound:
            carry_out(
                request,
                form,
                action="issue token",
                target=str(form.data.get("name", "")),
                work=lambda fields: _issue(request, fields, made),
            )
        site = self.admin_site.each_context(request)
        context = {**site, "title": "New API token", "opts": self.opts, "form": form, "made": made}
        return TemplateResponse(request, NEW_PAGE, context)

    def page_context(self, request: HttpRequest, row: ApiToken, /) -> dict[str, Any]:
        return {
            "title": f"API token {row.name}",
            "token": row,
            "desk_title": row.name,
            "state": self.state(row),
            "limit": str(reach_of(row)),
            "may_revoke": request.user.has_perm(CHANGE) and row.revoked_at is None,
            "form": ReasonForm(auto_id="revoke_%s"),
        }

    def own_pages(self) -> list[Page]:
        return [("<int:token_id>/revoke/", revoke_view, "revoke")]


def _issue(request: HttpRequest, fields: dict[str, Any], made: list[str]) -> str:
    now = SYSTEM.now()
    expires_at = now + timedelta(days=int(fields["days"])) if fields["days"] else None
    limit = reach(*(_names(fields[limited]) for limited in ("customers", "plans", "hosts")))
    token, text = tokens.issue(fields["name"], fields["scope"], trail.actor(request), now, expires_at, limit)
    made.append(text)
    return f"Token {token.name} is made."


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@require_POST
def revoke_view(request: HttpRequest, token_id: int) -> HttpResponse:
    """End a token at once."""
    token = get_object_or_404(ApiToken, pk=token_id)
    require(request, CHANGE, "revoke token", token.name)

    def work(_fields: dict[str, Any]) -> str:
        tokens.revoke(token.name, SYSTEM.now())
        return f"Token {token.name} is revoked."

    carry_out(request, ReasonForm(request.POST), action="revoke token", target=token.name, work=work)
    return page_of(token)
