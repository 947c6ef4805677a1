"""What dockmgr wrote down: operations, sweeps, health checks, and the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.views import ChangeList

from instances.admin.dashboard import FAILED
from instances.admin.instance_list import COLOURS, ChoiceFilter
from instances.admin.lists import MOST_COUNTED
from instances.admin.read_only import PageAdmin, ReadOnlyAdmin, said
from instances.admin.verbs import CHOOSE_IMAGE, shown_last_words
from instances.db.clock import SYSTEM
from instances.documents import told_in_full
from instances.fleet.history import longest_kept
from instances.lib import durations
from instances.models import AuditEntry, HealthCheck, Instance, Operation, Sweep
from instances.templatetags.desk import words

LENGTHS = [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1)]


class OutcomeFilter(ChoiceFilter):
    """What the dashboard counts as failed."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("bad", "failed or rolled back")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        return queryset.filter(status__in=FAILED) if self.value() == "bad" else queryset


class WhenFilter(ChoiceFilter):
    """At most how long ago it was asked for."""

    title = "time"
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1d", "the last 24 hours"), ("7d", "the last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Operation]) -> QuerySet[Operation]:
        lasts = durations.length(self.value()) if self.value() in ("1d", "7d") else None
        return queryset if lasts is None else queryset.filter(created_at__gt=SYSTEM.now() - lasts)


@admin.register(Operation)
class OperationAdmin(PageAdmin):
    """Every change to an instance, with its steps."""

    page_template = "desk/operation.html"
    when_empty = "Each change of an instance is listed here, with its steps."
    live_template = "desk/operation_live.html"
    list_display = ("created_at", "kind", "customer_id", "state", "requested_by", "reason", "error")
    list_filter = ("kind", "status", "automatic", OutcomeFilter, WhenFilter)
    search_fields = found_by = ("customer_id",)
    search_help_text = "Customer id"
    ordering = ("-created_at",)
    sortable_by = ()

    @display(description="status", label=COLOURS)
    def state(self, operation: Operation) -> str:
        return words(operation.status)

    def page_context(self, request: HttpRequest, row: Operation, /) -> dict[str, Any]:
        return {"title": f"{row.kind} of {row.customer_id}"}

    def live_context(self, request: HttpRequest, row: Operation, /) -> dict[str, Any]:
        last_words = shown_last_words(request, row.last_words.all())
        return {"operation": row, "error": _error(request, row), "last_words": last_words}


def _error(request: HttpRequest, operation: Operation) -> str:
    """Why it failed. What a registry said is for those who may choose any image: to others an image's name
    must not be a way to ask who listens where.
    """
    return told_in_full(operation) if request.user.has_perm(CHOOSE_IMAGE) else operation.error


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    """Sweeps and their progress."""

    list_display = ("started_at", "state", "done", "total", "requested_by", "finished_at")
    ordering = ("-started_at",)
    sortable_by = ()


class NewestChecks(ChangeList):
    """All checks, back to where there are more than a list counts: no index has them in order of time."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[HealthCheck]:
        rows: QuerySet[HealthCheck] = super().get_queryset(request, exclude_parameters)
        if self.query:
            return rows
        for length in LENGTHS:
            newest = rows.filter(checked_at__gt=SYSTEM.now() - length)
            if newest.order_by()[: MOST_COUNTED + 1].count() > MOST_COUNTED:
                return newest
        return rows.filter(checked_at__gt=SYSTEM.now() - longest_kept())


@admin.register(HealthCheck)
class HealthCheckAdmin(ReadOnlyAdmin):
    """The history of checks: all of them, or those of one customer."""

    change_list = NewestChecks
    list_display = ("checked_at", "instance", "outcome", "status", "reason", "answer", "took")
    list_select_related = ()  # see `get_queryset`
    search_fields = found_by = ("instance__customer_id",)
    search_help_text = "Customer id"
    ordering = ("-checked_at", "-id")
    sortable_by = ()
    answer = said("HTTP status", lambda check: check.http_status)
    took = said("took", lambda check: f"{check.latency_ms} ms" if check.latency_ms is not None else "")

    def get_queryset(self, request: HttpRequest) -> QuerySet[HealthCheck]:
        # Joined with instances, the newest of all would be looked for among all of both.
        of_them = Instance.objects.only("customer_id")
        return HealthCheck.objects.prefetch_related(Prefetch("instance", of_them))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, from where, why, and what came of it."""

    list_display = ("at", "actor", "surface", "address", "action", "target", "reason", "outcome")
    search_fields = found_by = ("target",)
    searched_in_small_letters = False
    search_help_text = "Customer id or other target"
    ordering = ("-at",)
    sortable_by = ()
