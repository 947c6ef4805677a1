"""Periodic tasks of django-celery-beat, shown like the other pages; who may change one may run it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat import models
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from instances.admin import trail
from instances.admin.read_only import DeskAdmin

ACTIONS = ("enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks")

for model in (
    models.PeriodicTask,
    models.IntervalSchedule,
    models.CrontabSchedule,
    models.SolarSchedule,
    models.ClockedSchedule,
):
    admin.site.unregister(model)


class TaskSelectWidget(UnfoldAdminSelectWidget, beat.TaskSelectWidget):
    """The names of the tasks the workers know."""


class PeriodicTaskForm(beat.PeriodicTaskForm):
    """The form of django-celery-beat with widgets that fit."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
        if "regtask" in self.fields:
            self.fields["regtask"].widget = TaskSelectWidget()


@admin.register(models.PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, DeskAdmin):
    """What beat starts, and how often."""

    form = PeriodicTaskForm
    date_hierarchy = None
    list_filter = ("enabled",)
    change_form_template = None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the right to change tasks there is nothing to do here but look."""
        actions: dict[str, Any] = super().get_actions(request)
        if self.has_change_permission(request):
            return actions
        return {name: action for name, action in actions.items() if name not in ACTIONS}

    def response_action(self, request: HttpRequest, queryset: Any) -> Any:
        action = str(request.POST.get("action", ""))
        if action in ACTIONS and self.has_change_permission(request):
            for name in queryset.filter(pk__in=request.POST.getlist("_selected_action")).values_list(
                "name", flat=True
            ):
                trail.record(request, action.replace("_", " "), name, "done")
        return super().response_action(request, queryset)


@admin.register(models.IntervalSchedule)
class IntervalScheduleAdmin(DeskAdmin):
    """How often, in seconds, minutes, hours or days."""


@admin.register(models.CrontabSchedule)
class CrontabScheduleAdmin(DeskAdmin):
    """At which minutes, hours and days."""

    list_display = ("__str__", "human_readable")


@admin.register(models.ClockedSchedule)
class ClockedScheduleAdmin(DeskAdmin):
    """Once, at a moment."""
