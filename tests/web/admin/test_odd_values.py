"""Whatever is typed into a form of the desk: a sentence beside the field, and nothing is changed."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from unfold.forms import UserCreationForm

from instances.admin.read_only import OVERTAKEN
from instances.models import AuditEntry, Host, Plan
from tasks.schedule_rules import BOUNDS
from tests.desk import PASSWORD

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
TASK = "django_celery_beat/periodictask/add/"
INTERVAL = "django_celery_beat/intervalschedule/add/"
CRONTAB = "django_celery_beat/crontabschedule/add/"
HOST = "instances/host/add/"
PLAN = "instances/plan/add/"
BEFORE: dict[str, dict[str, Any]] = {
    TASK: {"name": "odd", "task": "dockmgr.sweep", "args": "[]", "kwargs": "{}", "headers": "{}"},
    INTERVAL: {"every": "7", "period": "hours"},
    CRONTAB: {"minute": "7", "hour": "3", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*",
              "timezone": "UTC"},
    HOST: {"name": "odd", "docker_url": "unix:///odd.sock", "address": "127.0.0.1", "first_port": "20000",
           "last_port": "20100", "network": "odd", "overcommit": "1"},
    PLAN: {"name": "odd", "image": "registry.example.com/agent:1", "cpus": "1", "memory": "64m",
           "container_port": "8080", "stop_timeout": "10", "health_path": "/healthz", "health_expect": "auto",
           "start_grace": "60", "update_strategy": "recreate"},
}  # fmt: skip
NULL = "Null characters are not allowed."
ODD: list[tuple[str, dict[str, str], str]] = [
    (TASK, {"task": "\0"}, NULL),
    (TASK, {"task": "x" * 201}, "Ensure this value has at most 200 characters (it has 201)."),
    (TASK, {"task": ""}, "Need name of task"),
    (TASK, {"args": "[" * 3000}, "The arguments must be a list in JSON."),
    (TASK, {"args": "5"}, "The arguments must be a list in JSON."),
    (TASK, {"kwargs": "[1]"}, "The keyword arguments must be an object in JSON."),
    (TASK, {"headers": "x"}, "The headers must be an object in JSON."),
    (TASK, {"task": "dockmgr.nosuch"}, "The workers know no task of this name."),
    (TASK, {"queue": "nosuch"}, "Workers take messages from health, operations, notifications, celery only."),
    (TASK, {"exchange": "nosuch"}, "Workers take messages from"),
    (TASK, {"routing_key": "nosuch"}, "Workers take messages from"),
    (INTERVAL, {"every": "2147483647", "period": "days"}, BOUNDS),
    (CRONTAB, {"minute": "60", "initial-timezone": "9" * 5000}, "crontab"),
    (CRONTAB, {"timezone": "9" * 5000}, "is not one of the available choices."),
    (HOST, {"docker_url": "tcp://10.0.0.7:2376"}, "tls"),
    (HOST, {"docker_url": "ssh://-oProxyCommand=x"}, "ssh"),
    (HOST, {"docker_url": "tcp://[::1", "insecure": "on"}, "must read tcp://host:port"),
    (HOST, {"address": "10.0.0.7:80"}, "its IP address, without port and brackets"),
    (HOST, {"bind": "10.0.0.300"}, "must be an IP address of the host"),
    (HOST, {"tls": "[" * 3000, "ssh": "9" * 5000}, "This is not YAML: there is an error."),
    (PLAN, {"options": "init: !!bool x"}, "This is not YAML: there is an error."),
    (PLAN, {"health": "port: !!int ''"}, "This is not YAML: there is an error."),
    (PLAN, {"log_alerts": "- !!float _"}, "This is not YAML: there is an error."),
]  # fmt: skip


@pytest.mark.parametrize(("form", "given", "sentence"), ODD)
def test_an_odd_value_is_told_beside_its_field(
    admin_client: Client, form: str, given: dict[str, str], sentence: str
) -> None:
    every = IntervalSchedule.objects.get_or_create(every=1, period="days")[0].pk
    before = counted()
    page = admin_client.post(f"/admin/{form}", {"interval": every, **BEFORE[form], **given})
    assert page.status_code == 200
    assert sentence in unescape(page.content.decode())
    assert counted() == before


def counted() -> tuple[int, ...]:
    """All rows that such a form makes."""
    return tuple(model.objects.count() for model in (PeriodicTask, IntervalSchedule, Host, Plan, AuditEntry))


@pytest.mark.parametrize("form", BEFORE)
def test_the_same_forms_are_taken_as_they_were(admin_client: Client, form: str) -> None:
    every = IntervalSchedule.objects.get_or_create(every=1, period="days")[0].pk
    assert admin_client.post(f"/admin/{form}", {"interval": every, **BEFORE[form]}).status_code == 302


def test_a_task_may_name_the_queue_it_waits_in(admin_client: Client) -> None:
    every = IntervalSchedule.objects.get_or_create(every=1, period="days")[0].pk
    named = {"interval": every, **BEFORE[TASK], "queue": "operations", "exchange": "operations"}
    assert admin_client.post(f"/admin/{TASK}", named).status_code == 302


@pytest.mark.parametrize(("field", "text"), [("args", ""), ("args", " \t"), ("kwargs", ""), ("headers", "")])
def test_an_emptied_document_of_a_task_is_an_empty_one(admin_client: Client, field: str, text: str) -> None:
    every = IntervalSchedule.objects.get_or_create(every=1, period="days")[0].pk
    assert (
        admin_client.post(f"/admin/{TASK}", {"interval": every, **BEFORE[TASK], field: text}).status_code
        == 302
    )
    assert getattr(PeriodicTask.objects.get(name="odd"), field) == BEFORE[TASK][field]


LISTS = [
    ("instances/instance/", "restart_selected"),
    ("instances/host/", "delete_selected"),
    ("auth/user/", "delete_selected"),
    ("django_celery_beat/periodictask/", "delete_selected"),
]
TASKS = "django_celery_beat/periodictask/"
NOTHING = [
    *((TASKS, "run_tasks", key) for key in ("x", "\0", "1.5", "9" * 30, "99999")),
    *((rows, action, key) for rows, action in LISTS for key in ("x", "99999")),
]


@pytest.mark.parametrize(("rows", "action", "key"), NOTHING)
def test_a_selection_of_nothing_does_nothing(admin_client: Client, rows: str, action: str, key: str) -> None:
    before = counted()[:-1]
    fields = {"action": action, "_selected_action": key, "post": "yes", "confirmed": "1", "reason": "because"}
    assert admin_client.post(f"/admin/{rows}", fields).status_code in (200, 302)
    assert counted()[:-1] == before


def test_one_of_two_who_save_the_same_is_told(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    # Both found the name free.
    monkeypatch.setattr(UserCreationForm, "validate_unique", lambda _: None)
    User.objects.create_user("twice")
    given = {"username": "twice", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    monkeypatch.setattr(UserCreationForm, "clean_username", lambda form: form.cleaned_data["username"])
    answer = admin_client.post("/admin/auth/user/add/", given, follow=True)
    assert (answer.status_code, OVERTAKEN in answer.content.decode()) == (200, True)
    assert User.objects.filter(username="twice").count() == 1


@pytest.mark.parametrize("charset", ["utf-8", "utf8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("path", ["login/", "instances/instance/", "nowhere/"])
def test_a_form_is_in_utf8_whatever_it_says(path: str, charset: str) -> None:
    answer = Client(raise_request_exception=False).post(
        f"/admin/{path}", "reason=x", content_type=f"application/x-www-form-urlencoded; charset={charset}"
    )
    assert answer.status_code in (200, 302, 404)


def test_a_crontab_in_a_zone_that_is_not_there_can_be_looked_at_and_changed(admin_client: Client) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="4", timezone="UTC")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'US/Pacific-New'")
    page = f"/admin/{CRONTAB.removesuffix('add/')}{crontab.pk}/change/"
    assert "US/Pacific-New" in admin_client.get(page).content.decode()
    clock = {"minute": "0", "hour": "4", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"}
    assert admin_client.post(page, {**clock, "timezone": "US/Pacific-New"}).status_code == 200
    assert admin_client.post(page, {**clock, "timezone": "Europe/Berlin"}).status_code == 302
    assert str(CrontabSchedule.objects.get(pk=crontab.pk).timezone) == "Europe/Berlin"
