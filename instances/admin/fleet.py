"""Instances, hosts and plans."""

from __future__ import annotations

from django.contrib import admin
from unfold.admin import ModelAdmin
from unfold.decorators import display

from instances.admin.read_only import ReadOnlyAdmin
from instances.models import Host, Instance, Plan

STATUS_COLOURS = {
    "healthy": "success",
    "starting": "info",
    "restarting": "info",
    "suspect": "warning",
    "unknown": "warning",
    "unhealthy": "danger",
    "failed": "danger",
}


@admin.register(Instance)
class InstanceAdmin(ReadOnlyAdmin):
    """The fleet at a glance. The environment is encrypted and never shown."""

    list_display = ("customer_id", "status", "plan", "host", "version", "last_healthy", "subdomain")
    list_filter = ("health__status", "plan", "host")
    list_select_related = ("plan", "host", "health")
    search_fields = ("customer_id", "subdomain")
    exclude = ("env", "adopted")
    ordering = ("customer_id",)

    @display(ordering="health__status", label=STATUS_COLOURS)
    def status(self, instance: Instance) -> str:
        return str(instance.health.status)

    @display(description="version")
    def version(self, instance: Instance) -> str:
        return str(instance.health.version)

    @display(description="last healthy", ordering="health__last_healthy_at")
    def last_healthy(self, instance: Instance) -> object:
        return instance.health.last_healthy_at


@admin.register(Host)
class HostAdmin(ModelAdmin):
    """Engines and the room they have."""

    list_display = ("name", "docker_url", "address", "max_instances")


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    """What customers of a plan share. A plan's environment may hold secrets and is not shown."""

    list_display = ("name", "image", "cpus", "memory", "update_strategy")
