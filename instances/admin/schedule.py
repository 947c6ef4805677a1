"""Periodic tasks of django-celery-beat, shown like the other pages; who may change one may run it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat import models
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from instances.admin import trail
from instances.admin.read_only import DeskAdmin
from tasks.app import app
from tasks.schedule_rules import document_conflict, interval_conflict, place_conflict, task_conflict

EMPTY = {"args": "[]", "kwargs": "{}", "headers": "{}"}  # the column takes no empty text
PLACES = ("queue", "exchange", "routing_key")
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

    def clean(self) -> dict[str, Any]:
        """The one of django-celery-beat reads the task's name, which is not there where it is malformed."""
        cleaned: dict[str, Any] = self.cleaned_data if "task" in self.errors else super().clean()
        self._refuse_what_no_worker_takes(cleaned)
        return cleaned

    def _refuse_what_no_worker_takes(self, cleaned: dict[str, Any]) -> None:
        app.loader.import_default_modules()
        conflicts = {field: place_conflict(cleaned.get(field), app.amqp.queues) for field in PLACES}
        if cleaned.get("task"):
            conflicts["task"] = task_conflict(cleaned["task"], app.tasks)
        for field, conflict in conflicts.items():
            if conflict and field in self.fields:
                self.add_error(field, conflict)

    def clean_args(self) -> str:
        return self._document("args")

    def clean_kwargs(self) -> str:
        return self._document("kwargs")

    def clean_headers(self) -> str:
        return self._document("headers")

    def _document(self, field: str) -> str:
        text: str = self.cleaned_data[field]
        if conflict := document_conflict(field, text):
            raise forms.ValidationError(conflict)
        return text or EMPTY[field]


class IntervalForm(forms.ModelForm):  # type: ignore[type-arg]
    """An interval that beat can count, and that leaves it time for anything else."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and (conflict := interval_conflict(cleaned["every"], cleaned["period"])):
            self.add_error("every", conflict)
        return cleaned


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

    form = IntervalForm


@admin.register(models.CrontabSchedule)
class CrontabScheduleAdmin(DeskAdmin):
    """At which minutes, hours and days."""

    list_display = ("__str__", "human_readable")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Nothing is compared with what a page says it was before: a zone there may be anything."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.show_hidden_initial = False
        return field


@admin.register(models.ClockedSchedule)
class ClockedScheduleAdmin(DeskAdmin):
    """Once, at a moment."""
