"""Values of environment variables: they can be set and removed here, and never read."""

from __future__ import annotations

from functools import partial
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from instances.admin.orders import carry_out, page_of, require
from instances.admin.verbs import ReasonForm
from instances.db.locks import locked
from instances.errors import RequestError, UnreadableSecret
from instances.lib import validators
from instances.models import Instance, Plan

ACTION = "change secret"
SECRETS = "instances.change_secrets"
ENV_NAMES = "instances.view_env_names"


class SecretForm(ReasonForm):
    """One variable; without a value it is removed."""

    name = forms.CharField(max_length=255, label="Name")
    value = forms.CharField(
        required=False,
        strip=False,
        label="Value",
        help_text="Leave empty to remove the variable.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("name", "value", "reason")


def variable_names(row: Instance | Plan) -> list[str]:
    """Names of its variables, or why they can't be told."""
    try:
        return sorted(row.env)
    except UnreadableSecret as error:
        return [str(error)]


def as_asked(request: HttpRequest, row: Instance | Plan, target: str) -> HttpResponse:
    """Set or remove the variable that the sent form names, and go back to the row's page."""
    require(request, SECRETS, ACTION, target)
    work = partial(set_variable, type(row), row.pk)
    carry_out(request, SecretForm(request.POST), action=ACTION, target=target, work=work)
    return page_of(row)


@transaction.atomic
def set_variable(model: type[Instance] | type[Plan], key: int, fields: dict[str, Any]) -> str:
    """Change one variable of an instance or a plan. Raises RequestError for what can't be one."""
    row = locked(model._default_manager.filter(pk=key)).first()
    if row is None or getattr(row, "decommissioned_at", None) is not None:
        raise RequestError(f"The {model._meta.verbose_name} was removed meanwhile.")
    name, value = fields["name"], fields["value"]
    if not value and name not in row.env:
        raise RequestError(f"{name[:64]} is not set, so it can't be removed.")
    kept = {known: given for known, given in row.env.items() if known != name}
    row.env = validators.environment({**kept, name: value} if value else kept)
    row.save(update_fields=["env"])
    done = "set" if value else "removed"
    return f"{name} is {done}; containers get it when they are replaced next."
