"""What is done to selected tasks of the schedule: told in sentences, and recorded as it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from instances.models import AuditEntry
from tests.desk import said
from tests.fast.conftest import Message

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
TASKS = "/admin/django_celery_beat/periodictask/"
Sent = Callable[[str], list[Message]]


def a_task(name: str, **columns: Any) -> PeriodicTask:
    every = IntervalSchedule.objects.get_or_create(every=1, period="days")[0]
    return PeriodicTask.objects.create(
        **{"name": name, "task": "dockmgr.sweep", "interval": every, "queue": "health", **columns}
    )


def do(client: Client, action: str, *rows: PeriodicTask, **fields: str) -> str:
    answer = client.post(TASKS, {"action": action, "_selected_action": [row.pk for row in rows], **fields})
    assert answer.status_code == 302
    return said(answer)  # type: ignore[arg-type]


def recorded(action: str) -> dict[str, str]:
    return dict(AuditEntry.objects.filter(action=action).values_list("target", "outcome"))


def test_without_a_broker_nothing_runs_and_nothing_is_recorded_as_done(admin_client: Client) -> None:
    sentence = do(admin_client, "run_tasks", a_task("one"))
    assert "broker can't be reached" in sentence
    assert "broker can't be reached" in recorded("run tasks")["one"]


REFUSED = [
    ({"task": "dockmgr.nosuch"}, "The workers know no task of this name."),
    ({"kwargs": '{"nosuch": 1}'}, "The task does not take these arguments."),
    ({"args": "{"}, "The arguments must be a list in JSON."),
    ({"queue": "nosuch"}, "Workers take messages from"),
]


@pytest.mark.parametrize(("columns", "sentence"), REFUSED)
def test_what_no_worker_could_run_is_told_and_the_rest_runs(
    admin_client: Client, sent: Sent, columns: dict[str, str], sentence: str
) -> None:
    told = do(admin_client, "run_tasks", a_task("bad", **columns), a_task("good"))
    assert f"bad: {sentence}" in told and "good was sent to the workers." in told
    assert [message.task for message in sent("health")] == ["dockmgr.sweep"]
    assert (sentence in recorded("run tasks")["bad"], recorded("run tasks")["good"]) == (True, "done")


@pytest.mark.parametrize("action", ["run_tasks", "enable_tasks", "disable_tasks", "toggle_tasks"])
def test_all_that_a_selection_across_pages_is_done_to_is_recorded(
    admin_client: Client, sent: Sent, action: str
) -> None:
    PeriodicTask.objects.all().delete()
    ticked, _ = a_task("ticked"), a_task("other")
    do(admin_client, action, ticked, select_across="1")
    assert recorded(action.replace("_", " ")) == {"ticked": "done", "other": "done"}


def test_a_selection_across_a_filter_is_recorded_by_what_it_was(admin_client: Client) -> None:
    PeriodicTask.objects.all().delete()
    off = a_task("off", enabled=False)
    address = f"{TASKS}?enabled__exact=0"
    admin_client.post(address, {"action": "enable_tasks", "_selected_action": [off.pk], "select_across": "1"})
    assert (recorded("enable tasks"), PeriodicTask.objects.get(name="off").enabled) == ({"off": "done"}, True)
