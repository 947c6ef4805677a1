"""The page of one instance: how it is, what was done to it, what its container looks like now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from celery import Task
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST, require_safe

from instances.admin import answers, read_only, trail
from instances.admin.history import LABELS, PERIODS, history
from instances.admin.instance_list import COLOURS
from instances.admin.orders import carry_out, page_of, require
from instances.admin.secret_setting import ENV_NAMES, SECRETS, SecretForm, as_asked, variable_names
from instances.admin.signed_out import typed_reason
from instances.admin.usage_chart import usage_charts
from instances.admin.verbs import LOGS, OPERATE, VERBS, ReasonForm, Verb, applicable, verb_request
from instances.db.clock import SYSTEM
from instances.health.state import NEVER_HEALTHY
from instances.incidents import mutes
from instances.models import Incident, Instance, Operation, Usage
from instances.operations import read_logs
from tasks import inspection, operations
from tasks.schedule import sweep_interval

OPERATIONS_SHOWN = 8
INCIDENTS_SHOWN = 5
QUESTIONS: dict[str, tuple[Task[..., Any], str]] = {
    "facts": (inspection.container_facts, "instances.view_instance"),
    "validation": (operations.validate, OPERATE),
    "logs": (inspection.log_view, LOGS),
}


@dataclass(frozen=True)
class Button:
    """A verb on the page, with the form that its dialog holds."""

    verb: Verb
    form: ReasonForm


def known(object_id: str) -> Instance:
    """The present instance with this key, its health and place at hand. Raises Http404."""
    return read_only.known(Instance.objects.present().select_related("plan", "host", "health"), object_id)


def page_context(request: HttpRequest, instance: Instance) -> dict[str, Any]:
    """What the page shows beside its live part."""
    may_read_logs = request.user.has_perm(LOGS)
    return {**_past(request, instance), "title": instance.customer_id, "may_read_logs": may_read_logs}


def live_context(request: HttpRequest, instance: Instance) -> dict[str, Any]:
    """What the live part of the page shows."""
    now = SYSTEM.now()
    operations = Operation.objects.filter(customer_id=instance.customer_id).order_by("-created_at")
    return {
        "instance": instance,
        "buttons": _buttons(request, instance),
        "health": instance.health,
        "usage": Usage.objects.filter(instance=instance).first(),
        "colours": COLOURS,
        "never_healthy": NEVER_HEALTHY,
        "mutes": mutes.covering(instance, now),
        "incident": Incident.objects.open().filter(kind="instance", instance=instance).first(),
        "operations": list(operations[:OPERATIONS_SHOWN]),
        "now": now,
    }


@require_safe
def past_view(request: HttpRequest, object_id: str) -> HttpResponse:
    """The part of the page that changes by itself, but slowly."""
    instance = known(object_id)
    found = {"instance": instance, **_past(request, instance)}
    return TemplateResponse(request, "desk/instance_past.html", found)


def _past(request: HttpRequest, instance: Instance) -> dict[str, Any]:
    asked = request.GET.get("period", "1d")
    period = asked if asked in PERIODS else "1d"
    return {
        "history": history(instance, period, SYSTEM.now(), max(sweep_interval(), settings.HISTORY_EVERY)),
        "usage_charts": usage_charts(instance, period, SYSTEM.now()),
        "period": period,
        "periods": LABELS,
        "incidents": _incidents(instance),
        "env_names": variable_names(instance) if request.user.has_perm(ENV_NAMES) else None,
        "may_change_secrets": request.user.has_perm(SECRETS),
        "required_env": instance.plan.required_env,
        "secret_form": SecretForm(auto_id="secret_%s", initial=typed_reason(request)),
    }


def _incidents(instance: Instance) -> list[Incident]:
    return list(Incident.objects.filter(instance=instance)[:INCIDENTS_SHOWN])


def _buttons(request: HttpRequest, instance: Instance) -> list[Button]:
    muted = mutes.active(SYSTEM.now()).filter(instance=instance).exists()
    return [
        Button(
            verb,
            verb.form(
                auto_id=f"{verb.name}_%s", initial={**typed_reason(request), "request_id": str(uuid.uuid4())}
            ),
        )
        for verb in applicable(instance.health.status, muted)
        if request.user.has_perm(verb.permission)
    ]


@require_POST
def act_view(request: HttpRequest, object_id: str, name: str) -> HttpResponse:
    """Carry a verb out, and go back to the page with a sentence about it."""
    instance, verb = known(object_id), VERBS.get(name)
    if verb is None:
        raise Http404
    require(request, verb.permission, name, instance.customer_id)
    form = verb.form(request.POST)
    carry_out(
        request,
        form,
        action=name,
        target=instance.customer_id,
        work=lambda fields: verb.carry_out(verb_request(request, instance, fields)),
    )
    return page_of(instance)


@require_POST
def secrets_view(request: HttpRequest, object_id: str) -> HttpResponse:
    """Set or remove one variable of the instance's environment."""
    instance = known(object_id)
    return as_asked(request, instance, instance.customer_id)


@require_POST
def ask_view(request: HttpRequest, object_id: str, what: str) -> JsonResponse:
    """Ask the workers: container facts, a validation, or the log."""
    instance = known(object_id)
    if what not in QUESTIONS:
        raise Http404
    task, permission = QUESTIONS[what]
    require(request, permission, what, instance.customer_id)
    kwargs: dict[str, Any] = {"customer_id": instance.customer_id}
    if what == "logs":
        kwargs |= _log_bounds(request)
        trail.record_reading(request, "read log", instance.customer_id)
    elif what == "validation":
        trail.record(request, "validate", instance.customer_id, "asked")
    return answers.ask(request, answers.WorkerQuestion(task, kwargs, permission))


def _log_bounds(request: HttpRequest) -> dict[str, Any]:
    given = request.POST.get("lines", "")
    lines = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
    return {
        "lines": min(max(1, lines), read_logs.MOST_LINES),
        "since": request.POST.get("since", "")[:40] or None,
    }
