"""Plans: edited under the rules of the fleet file, with the number of instances an edit leaves behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from instances.admin import muting
from instances.admin.deleting import instances_among
from instances.admin.form_fields import as_yaml
from instances.admin.forms import PlanForm
from instances.admin.instance_list import muted
from instances.admin.orders import page_of, require
from instances.admin.read_only import DeskAdmin, Page, row_of, said
from instances.admin.secret_setting import ENV_NAMES, SECRETS, SecretForm, as_asked, variable_names
from instances.admin.selections import place_order
from instances.admin.signed_out import typed_reason
from instances.admin.verbs import OPERATE, ReasonForm
from instances.db.clock import SYSTEM
from instances.fleet.bulk import MOST_INSTANCES
from instances.incidents import mutes
from instances.lib import sizes
from instances.models import Instance, Plan

# An adopted container takes nothing from its plan but the image.
SHAPING = ("cpus", "memory", "pids", "container_port", "stop_timeout", "data_path", "options")


def drift(plan: Plan, changed: list[str]) -> int:
    """How many containers an edit of these fields leaves as they were until they are replaced."""
    own_image, adopted = ~Q(image=""), Q(adopted__isnull=False)
    of_image = Q(pk__in=[]) if "image" not in changed else ~own_image
    of_shape = Q(pk__in=[]) if not set(SHAPING) & set(changed) else ~adopted
    return int(Instance.objects.present().filter(of_image | of_shape, plan=plan).count())


@admin.register(Plan)
class PlanAdmin(DeskAdmin):
    """What customers of a plan share. A plan's environment may hold secrets: it is set, never shown."""

    form = PlanForm
    when_empty = "Each instance is made after a plan."
    list_display = (
        "name",
        "image",
        "cpus_shown",
        "memory_shown",
        "instance_count",
        "muted",
        "update_strategy",
    )
    search_fields = ("name",)
    ordering = ("name",)
    change_form_outer_before_template = "desk/plan_before.html"
    change_form_outer_after_template = "desk/plan_after.html"
    shown_instead = {
        "cpus": "cpus_shown",
        "memory": "memory_shown",
        "disk": "disk_shown",
        "images": "images_shown",
        "required_env": "required_shown",
        "options": "options_shown",
        "health": "health_shown",
        "log_alerts": "log_alerts_shown",
    }
    muted = muted
    cpus_shown = said("CPUs", lambda plan: f"{plan.cpus:g}", ordering="cpus")
    memory_shown = said("Memory", lambda plan: sizes.shortest(plan.memory), ordering="memory")
    disk_shown = said("Disk", lambda plan: sizes.shortest(plan.disk) if plan.disk else "")
    required_shown = said("Required variables", lambda plan: ", ".join(plan.required_env))
    images_shown = said("Images that may be run", lambda plan: ", ".join(plan.image_policy.entries))
    options_shown = said("Container options", lambda plan: as_yaml(plan.options))
    health_shown = said("Health question", lambda plan: as_yaml(plan.health))
    log_alerts_shown = said("Log alerts", lambda plan: as_yaml(plan.log_alerts))
    fieldsets = (
        ("Container", {"fields": (
            "name", "image", "images", ("cpus", "memory"), ("pids", "container_port"),
            ("data_path", "stop_timeout"), "disk", "options",
        )}),
        ("Health", {"fields": (
            ("health_path", "health_expect"), "health", "start_grace", "public_url", "log_alerts",
        )}),
        ("Updates and environment", {"fields": ("update_strategy", "required_env", "reason")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        count = Count("instances", filter=Q(instances__decommissioned_at=None))
        return (
            super()
            .get_queryset(request)
            .annotate(present=count, muted_until=mutes.end_of_plan(SYSTEM.now()))
            .defer("env")
        )

    @admin.display(description="instances")
    def instance_count(self, plan: Any) -> int:
        return int(plan.present)

    def users_of(self, row: Plan) -> Iterator[str]:
        yield from instances_among(Instance.objects.filter(plan=row))

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        left = drift(obj, form.changed_data) if change else 0
        if left:
            text = f"{left} instances run as the plan was before, until they are updated or replaced."
            messages.warning(request, text)

    def form_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        plan = row_of(Plan.objects.all(), object_id)
        return {} if plan is None else _context(request, plan)

    def own_pages(self) -> list[Page]:
        return [
            ("<int:plan_id>/update/", update_view, "update"),
            ("<int:plan_id>/secrets/", secrets_view, "secrets"),
            *muting.pages("plan"),
        ]


def _context(request: HttpRequest, plan: Plan) -> dict[str, Any]:
    return {
        **muting.context(request, "plan", plan),
        "plan": plan,
        "would_drift": drift(plan, ["cpus"]),
        "would_drift_by_image": drift(plan, ["image"]),
        "instance_total": Instance.objects.present().filter(plan=plan).count(),
        "may_operate": request.user.has_perm(OPERATE),
        "may_change_secrets": request.user.has_perm(SECRETS),
        "env_names": variable_names(plan) if request.user.has_perm(ENV_NAMES) else None,
        "update_form": ReasonForm(
            auto_id="update_%s", initial={**typed_reason(request), "request_id": str(uuid.uuid4())}
        ),
        "secret_form": SecretForm(auto_id="secret_%s"),
    }


@require_POST
def update_view(request: HttpRequest, plan_id: int) -> HttpResponse:
    """Update all instances of the plan, a few at a time."""
    plan = get_object_or_404(Plan, pk=plan_id)
    require(request, OPERATE, "update plan's instances", plan.name)
    keys = Instance.objects.present().filter(plan=plan).order_by("customer_id").values_list("pk", flat=True)
    placed = place_order(request, "update", keys[: MOST_INSTANCES + 1], ReasonForm(request.POST))
    return page_of(placed or plan)


@require_POST
def secrets_view(request: HttpRequest, plan_id: int) -> HttpResponse:
    """Set or remove one variable that all containers of the plan get."""
    plan = get_object_or_404(Plan, pk=plan_id)
    return as_asked(request, plan, f"plan {plan.name}")
