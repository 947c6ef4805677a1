"""Orders for a selection of instances: confirmed with a reason, enqueued, reported per instance."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from instances.admin import trail
from instances.admin.orders import carry_out, page_of
from instances.admin.read_only import PageAdmin
from instances.admin.verbs import OPERATE, VERBS, OptionalReasonForm, ReasonForm
from instances.db.among import among
from instances.errors import RequestError
from instances.fleet import bulk as bulk_changing
from instances.models import Bulk, Instance
from tasks.bulk import enqueue_or_forget

TOO_MANY = bulk_changing.MOST_INSTANCES + 1
PER_PAGE = 100
NAMES_SHOWN = 20


class _Chosen(forms.Form):
    """The keys of the instances that were shown: what is ordered is what was confirmed."""

    keys = forms.RegexField(r"^[0-9]{1,18}(,[0-9]{1,18})*$", required=False, widget=forms.HiddenInput)


class ChosenForm(ReasonForm, _Chosen):
    """Why it is done to them."""


class OptionalChosenForm(OptionalReasonForm, _Chosen):
    """The same where it need not be said."""


def _selected(name: str) -> Callable[..., HttpResponse | None]:
    """A verb as an action of the list."""

    @admin.action(description=VERBS[name].label, permissions=["operate"])
    def act(model_admin: Any, request: HttpRequest, queryset: QuerySet[Instance]) -> HttpResponse | None:
        return _ordered(model_admin, request, queryset, name)

    act.__name__ = f"{name}_selected"  # what the list's form sends
    return act


class SelectionMixin:
    """Four verbs as actions of the list."""

    actions = tuple(map(_selected, ("check", "restart", "update", "pause")))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(OPERATE)


def _ordered(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Instance], name: str
) -> HttpResponse | None:
    """Ask for the reason first, then place the order and go to its report."""
    form_class = OptionalChosenForm if name == "check" else ChosenForm
    if "confirmed" not in request.POST:
        return _confirmation(model_admin, request, queryset, name, form_class)
    form = form_class(request.POST)
    placed = place_order(request, name, _chosen(queryset, form), form)
    return page_of(placed) if placed else None


def _chosen(queryset: QuerySet[Instance], form: _Chosen) -> list[int]:
    """Those that were shown, as far as they are still here; who showed none means the selection of now."""
    shown = form.cleaned_data["keys"] if form.is_valid() else ""
    if not shown:
        return list(queryset.values_list("pk", flat=True)[:TOO_MANY])
    keys = [int(key) for key in shown.split(",")]
    here = set(Instance.objects.present().filter(among("pk", keys)).values_list("pk", flat=True))
    return [key for key in keys if key in here]


def _confirmation(
    model_admin: Any,
    request: HttpRequest,
    queryset: QuerySet[Instance],
    name: str,
    form_class: type[ChosenForm | OptionalChosenForm],
) -> TemplateResponse:
    chosen = dict(queryset.values_list("pk", "customer_id")[:TOO_MANY])
    count = len(chosen) if len(chosen) < TOO_MANY else queryset.count()
    keys = ",".join(map(str, chosen))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{VERBS[name].label} {count} instance{'' if count == 1 else 's'}?",
        "opts": Instance._meta,
        "verb": VERBS[name],
        "count": count,
        "most": bulk_changing.MOST_INSTANCES,
        "names": list(chosen.values())[:NAMES_SHOWN],
        "form": form_class(initial={"keys": keys, "request_id": str(uuid.uuid4())}),
        "action": request.POST["action"],
        "selected": request.POST.getlist("_selected_action"),
        "across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, "desk/confirm_selection.html", context)


def place_order(request: HttpRequest, verb: str, keys: Iterable[int], form: ReasonForm) -> Bulk | None:
    """Write the order down and hand it to the workers; None when it was refused, which was then said.

    A form that is sent twice is one order.
    """
    placed: list[Bulk] = []

    def work(fields: dict[str, Any]) -> str:
        order, by = _order_id(fields), trail.actor(request)
        bulk, is_new = bulk_changing.create_bulk(order, verb, keys, by=by, reason=fields["reason"])
        if is_new:
            enqueue_or_forget(bulk)
        placed.append(bulk)
        done = "is queued" if is_new else "was ordered before"
        return f"The {verb} of {len(bulk.instances)} instances {done}."

    target = f"selection {verb}"
    return (
        placed[0] if carry_out(request, form, action=f"{verb} selection", target=target, work=work) else None
    )


def _order_id(fields: dict[str, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(fields["request_id"]) if fields["request_id"] else uuid.uuid4()
    except ValueError:
        raise RequestError("The request id of this form is malformed.") from None


@admin.register(Bulk)
class BulkAdmin(PageAdmin):
    """Orders for selections, each with its report."""

    page_template = "desk/bulk.html"
    when_empty = "Tick instances in their list, and say what is to be done with them."
    live_template = "desk/bulk_live.html"
    list_display = ("created_at", "verb", "instances_ordered", "by", "reason")
    list_filter = ("verb",)
    ordering = ("-created_at",)

    @admin.display(description="instances")
    def instances_ordered(self, bulk: Bulk) -> int:
        return len(bulk.instances)

    def page_context(self, request: HttpRequest, row: Bulk, /) -> dict[str, Any]:
        return {"title": str(row)}

    def live_context(self, request: HttpRequest, row: Bulk, /) -> dict[str, Any]:
        return _report(request, row)


def _report(request: HttpRequest, bulk: Bulk) -> dict[str, Any]:
    """How far the order has come, and what became of one page of its instances."""
    listed = Paginator(bulk.instances, PER_PAGE).get_page(request.GET.get("page"))
    under_way = len(bulk_changing.unfinished(bulk))
    return {
        "bulk": bulk,
        "listed": listed,
        "rows": _rows(bulk, list(listed.object_list)),
        "total": len(bulk.instances),
        "waiting": len(bulk.pending),
        "under_way": under_way,
        "finished": len(bulk.instances) - len(bulk.pending) - under_way,
        "over": not bulk.pending and not under_way,
    }


def _rows(bulk: Bulk, keys: list[int]) -> list[dict[str, Any]]:
    instances = (
        Instance.objects.select_related("health").defer("env", "former_values", "adopted").in_bulk(keys)
    )
    operations = bulk_changing.operations_of(bulk, keys)
    pending = set(bulk.pending)
    return [
        {
            "instance": instances[key],
            "operation": operations.get(key),
            **_state(bulk, instances[key], pending),
        }
        for key in keys
        if key in instances
    ]


def _state(bulk: Bulk, instance: Instance, pending: set[int]) -> dict[str, Any]:
    """What to say of an instance without an operation."""
    checked_at = instance.health.checked_at
    return {
        "refusal": bulk.refused.get(instance.customer_id),
        "waits": instance.pk in pending,
        "checked": bulk.verb == "check" and checked_at is not None and checked_at > bulk.created_at,
    }
