"""Data that is to go as soon as nobody else uses it: what is waited for, and when it is tried again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_celery_beat.models import PeriodicTask

from instances.admin.lists import DeskChangeList
from instances.admin.orders import carry_out, require
from instances.admin.read_only import Page, PageAdmin
from instances.admin.signed_out import typed_reason
from instances.admin.verbs import OptionalReasonForm
from instances.models import PendingPurge
from tasks.maintenance import enqueue_tidying, tidy_up
from tasks.schedule import entry_conflict

VIEW, PURGE = "instances.view_instance", "instances.decommission"
TRY_NOW = "purge"


def tried_every() -> timedelta | None:
    """How often the schedule has them tried; None when nothing is scheduled."""
    entry = PeriodicTask.objects.filter(task=tidy_up.name, enabled=True).select_related("interval").first()
    if entry is None or entry.interval is None or entry_conflict(entry):
        return None
    every: timedelta = entry.interval.schedule.run_every
    return every


def next_try(row: PendingPurge, every: timedelta | None) -> datetime | None:
    """About when it is tried again; None when nothing is scheduled."""
    return None if every is None else (row.tried_at or row.asked_at) + every


class PurgeChangeList(DeskChangeList):
    """Adds when each is tried again, by one look at the schedule."""

    def add_to(self, rows: Sequence[Any]) -> None:
        every = tried_every()
        for row in rows:
            row.next_try = next_try(row, every)


@admin.register(PendingPurge)
class PendingPurgeAdmin(PageAdmin):
    """Volumes of customers who left with their data, while somebody still uses them."""

    page_template = "desk/purge.html"
    when_empty = "Data is listed here that was to go with its customer, while somebody still uses it."
    change_list = PurgeChangeList
    list_display = ("customer_id", "host", "volume", "waits_for", "asked_at", "tried_at", "again")
    list_select_related = ("host",)
    search_fields = ("customer_id",)
    search_help_text = "Customer id"
    ordering = ("asked_at",)
    sortable_by = ()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(VIEW))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.display(description="waits for")
    def waits_for(self, row: PendingPurge) -> str:
        return row.holders

    @admin.display(description="next try, about")
    def again(self, row: Any) -> object:
        return row.next_try

    def page_context(self, request: HttpRequest, row: PendingPurge, /) -> dict[str, Any]:
        return {
            "purge": row,
            "next_try": next_try(row, tried_every()),
            "form": OptionalReasonForm(auto_id=f"{TRY_NOW}_%s", initial=typed_reason(request)),
            "may_purge": request.user.has_perm(PURGE),
            "title": f"data of {row.customer_id}",
        }

    def own_pages(self) -> list[Page]:
        return [("<int:key>/try/", try_view, "try")]


@require_POST
def try_view(request: HttpRequest, key: int) -> HttpResponse:
    """Have the workers try again now, and go back to the list with a sentence about it."""
    row = get_object_or_404(PendingPurge, pk=key)
    require(request, PURGE, TRY_NOW, row.customer_id)
    carry_out(request, OptionalReasonForm(request.POST), action=TRY_NOW, target=row.customer_id, work=_tried)
    return redirect(reverse("admin:instances_pendingpurge_changelist"))


def _tried(_fields: dict[str, Any]) -> str:
    enqueue_tidying()
    return "Data that waits to be removed is tried again now, wherever it is."
