"""The list of instances: found by the beginning of a name, filtered, with the uptime of 30 days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import floor
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from instances.admin.lists import DeskChangeList
from instances.admin.read_only import said
from instances.db.clock import SYSTEM
from instances.incidents import mutes
from instances.incidents.uptime import uptime_percent
from instances.lib.durations import span
from instances.lib.sizes import shown
from instances.models import Host, Instance, Plan, Usage
from instances.models.health import STATUSES
from instances.models.instance import LEAVING, SECRETS, InstanceQuerySet

UPTIME_DAYS = 30
OLD_READING = timedelta(minutes=10)  # a reading that is older says how old it is
COLOURS = {
    "healthy": "success", "starting": "info", "restarting": "info", "suspect": "warning",
    "unknown": "warning", "unhealthy": "danger", "failed": "danger",
    "running": "info", "queued": "info", "succeeded": "success", "rolled back": "danger",
    LEAVING: "warning", "critical": "danger", "warning": "warning", "info": "info",
}  # fmt: skip
UNHEALTHY = ("suspect", "unhealthy", "failed")


def _age(usage: Usage | None, now: datetime) -> str:
    """How old a reading is that does not say how things are now; else empty."""
    if usage is None or usage.read_at is None or now - usage.read_at <= OLD_READING:
        return ""
    return f", {span((now - usage.read_at).total_seconds())} ago"


def _used(row: Any, column: str, written: Callable[[Any], str]) -> str:
    """What a container uses; of CPU and memory also how long ago, where that is long. Empty if unknown."""
    value = getattr(getattr(row, "usage", None), column, None)
    if value is None:
        return ""
    return written(value) if column == "disk" else f"{written(value)}{row.read_before}"


@display(description="muted", label="warning")
def muted(_desk: Any, row: Any) -> str:
    """The column that says when a mute ends; empty for what is not muted."""
    return f"until {row.muted_until:%d %b %H:%M} UTC" if row.muted_until else ""


class ChoiceFilter(SimpleListFilter):
    """A filter shown as a drop-down list, so that a thousand hosts do not fill the page."""

    template = "desk/choice_filter.html"


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("bad", "all that are unwell"), (LEAVING, "being removed"), *STATUSES]

    def queryset(self, request: HttpRequest, queryset: InstanceQuerySet) -> InstanceQuerySet:  # type: ignore[override]
        value = self.value()
        if value == "bad":
            return queryset.shown_as(*UNHEALTHY)
        return queryset.shown_as(value) if value else queryset


class NameFilter(ChoiceFilter):
    """By the name of a row that instances belong to."""

    model: type[Plan] | type[Host]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = self.model._default_manager.order_by("name").values_list("name", flat=True)
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Instance]) -> QuerySet[Instance]:
        name = self.value()
        return queryset.filter(**{f"{self.parameter_name}__name": name}) if name else queryset


class PlanFilter(NameFilter):
    title = parameter_name = "plan"
    model = Plan


class HostFilter(NameFilter):
    title = parameter_name = "host"
    model = Host


class InstanceChangeList(DeskChangeList):
    """Adds the uptime of the page's rows, by two queries for all of them."""

    def add_to(self, rows: Sequence[Any]) -> None:
        now = SYSTEM.now()
        found = uptime_percent([row.pk for row in rows], now - timedelta(days=UPTIME_DAYS), now)
        ends = mutes.ends([row.pk for row in rows], now)
        for row in rows:
            row.read_before = _age(getattr(row, "usage", None), now)
            row.muted_until = ends.get(row.pk)
            row.uptime_percent = found.get(row.pk)


class InstanceListMixin:
    """The columns and the search; what is decommissioned is not listed."""

    change_list = InstanceChangeList
    list_display = (
        "customer_id", "status", "muted", "plan", "host", "version", "last_healthy", "uptime",
        "cpu", "memory", "disk", "subdomain",
    )  # fmt: skip
    list_filter = (StatusFilter, PlanFilter, HostFilter)
    list_select_related = ("plan", "host", "health", "usage")
    search_fields = ("customer_id", "subdomain")
    found_by: ClassVar[tuple[str, ...]] = ("customer_id__startswith", "subdomain__startswith")
    search_help_text = "Beginning of a customer id or subdomain"
    ordering = ("customer_id",)
    sortable_by = ("cpu", "memory", "disk")
    list_fullwidth = True
    muted = muted
    cpu = said("CPU", lambda row: _used(row, "cpu_percent", "{:.1f} %".format), "usage__cpu_percent")
    memory = said("memory", lambda row: _used(row, "memory", shown), "usage__memory")
    disk = said("disk", lambda row: _used(row, "disk", shown), "usage__disk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Instance]:
        return Instance.objects.present().defer(*SECRETS)

    @display(ordering="health__status", label=COLOURS)
    def status(self, instance: Instance) -> str:
        return str(instance.health.status) if instance.leaving_at is None else LEAVING

    @admin.display(description="version")
    def version(self, instance: Instance) -> str:
        return str(instance.health.version)

    @admin.display(description="last healthy")
    def last_healthy(self, instance: Instance) -> object:
        return instance.health.last_healthy_at

    @admin.display(description=f"uptime {UPTIME_DAYS} d")
    def uptime(self, instance: Any) -> str:
        percent = instance.uptime_percent
        return "-" if percent is None else f"{floor(percent * 100) / 100:.2f} %"
