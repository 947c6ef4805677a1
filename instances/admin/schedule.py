"""Periodic tasks of django-celery-beat, shown like the other pages; who may change one may run it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, partialmethod
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat import admin as beat
from django_celery_beat import models
from kombu.utils.json import loads
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from instances.admin import trail
from instances.admin.read_only import DeskAdmin
from instances.errors import DockmgrError, RequestError
from tasks.app import app
from tasks.broker.connection import reaching_broker, require_broker
from tasks.schedule_rules import PLACES, document_conflict, interval_conflict, place_conflict, task_conflict

EMPTY = {"args": "[]", "kwargs": "{}", "headers": "{}"}  # the column takes no empty text
SWITCHES = ("enable_tasks", "disable_tasks", "toggle_tasks")
ACTIONS = (*SWITCHES, "run_tasks")
Action = Callable[..., Any]

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

    def _document(self, field: str) -> str:
        text: str = self.cleaned_data[field]
        if conflict := document_conflict(field, text):
            raise forms.ValidationError(conflict)
        return text or EMPTY[field]

    clean_args = partialmethod(_document, "args")
    clean_kwargs = partialmethod(_document, "kwargs")
    clean_headers = partialmethod(_document, "headers")


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
    list_display = ("name", "enabled", "scheduler", "last_run_at")
    list_filter = ("enabled",)
    change_form_template = None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the right to change tasks there is nothing to do here but look."""
        actions: dict[str, Any] = super().get_actions(request)
        if not self.has_change_permission(request):
            return {name: action for name, action in actions.items() if name not in ACTIONS}
        recorded = {name: (_recorded(act), name, words) for name, (act, *_, words) in actions.items()}
        return {**actions, **{name: recorded[name] for name in SWITCHES if name in recorded}}

    @admin.action(description="Run selected tasks")
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[models.PeriodicTask]) -> None:
        """Send each to the workers now; why one can't be sent is told in a sentence, and recorded."""
        app.loader.import_default_modules()
        away = _refusal(require_broker)
        for row in queryset:
            refused = away or _conflict(row) or _refusal(partial(_send, row))
            trail.record(request, "run tasks", row.name, refused or "done")
            said = f"{row.name}: {refused}" if refused else f"{row.name} was sent to the workers."
            messages.add_message(request, messages.ERROR if refused else messages.SUCCESS, said)


def _recorded(act: Action) -> Action:
    """The action, with an entry in the audit log for each row once it is done."""

    def act_and_record(desk: Any, request: HttpRequest, queryset: QuerySet[models.PeriodicTask]) -> Any:
        names = list(queryset.values_list("name", flat=True))  # the action may change what the list shows
        answer = act(desk, request, queryset)
        for name in names:
            trail.record(request, act.__name__.replace("_", " "), name, "done")
        return answer

    return act_and_record


def _conflict(row: models.PeriodicTask) -> str:
    """Why the workers could not take what a row says; empty when they could."""
    of_documents = (document_conflict(field, getattr(row, field)) for field in ("args", "kwargs"))
    conflicts = (
        task_conflict(row.task, app.tasks),
        place_conflict(row.queue, app.amqp.queues),
        *of_documents,
    )
    return next(filter(None, conflicts), "")


def _send(row: models.PeriodicTask) -> None:
    """Raises OutOfReachError without a broker, RequestError for arguments the task does not take."""
    words, named, headers = loads(row.args), loads(row.kwargs), {"periodic_task_name": row.name}
    queue: Any = row.queue or None
    try:
        with reaching_broker():
            app.tasks[row.task].apply_async(words, named, queue=queue, headers=headers)
    except TypeError:
        raise RequestError("The task does not take these arguments.") from None


def _refusal(work: Callable[[], None]) -> str:
    """Why something was not done, in a sentence; empty when it was."""
    try:
        work()
    except DockmgrError as error:
        return str(error)
    return ""


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
