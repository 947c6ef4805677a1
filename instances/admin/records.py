"""What dockmgr wrote down: operations, sweeps, health checks."""

from __future__ import annotations

from django.contrib import admin

from instances.admin.read_only import ReadOnlyAdmin
from instances.models import HealthCheck, Operation, Sweep


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    """Every change to an instance, with its steps."""

    list_display = ("created_at", "kind", "customer_id", "status", "requested_by", "reason", "error")
    list_filter = ("kind", "status", "automatic")
    search_fields = ("customer_id",)
    ordering = ("-created_at",)


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    """Sweeps and their progress."""

    list_display = ("started_at", "state", "done", "total", "requested_by", "finished_at")
    list_filter = ("state",)
    ordering = ("-started_at",)


@admin.register(HealthCheck)
class HealthCheckAdmin(ReadOnlyAdmin):
    """The history of checks."""

    list_display = ("checked_at", "instance", "outcome", "status", "reason", "http_status", "latency_ms")
    list_select_related = ("instance",)
    list_filter = ("outcome", "status")
    ordering = ("-id",)
