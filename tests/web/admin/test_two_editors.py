"""Two people who edit the same row at the desk: the second is told, and overwrites only knowingly."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from instances.models import Channel, Host, Plan, Registry
from tests.factories import World

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:No directory at:UserWarning"),  # nobody collected static files here
]
OVERWRITES = "since this page was opened, so nothing was saved."


def page_of(row: Any) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def opened(client: Client, page: str) -> dict[str, Any]:
    """What a browser would send back from a page that was just opened."""
    context = client.get(page).context
    form = context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {name: value for name, value in values.items() if value not in (None, False)}


def errors_of(client: Client, page: str, sent: dict[str, Any]) -> str:
    """What is said above the form when it is sent; empty when it was saved."""
    answer = client.post(page, sent)
    if answer.status_code == 302:
        return ""
    return unescape(" ".join(answer.context["adminform"].form.non_field_errors()))


def a_plan() -> Any:
    return Plan.objects.get(name="pro")


def a_host() -> Any:
    return Host.objects.get(name="local")


def a_channel() -> Any:
    return Channel.objects.create(name="ops", url="json://ops.example.com/")


def a_registry() -> Any:
    return Registry.objects.create(name="registry.example.com", username="puller", password="p")


def an_interval() -> Any:
    return IntervalSchedule.objects.create(every=7, period="hours")


def a_task() -> Any:
    return PeriodicTask.objects.create(name="odd", task="dockmgr.sweep", interval=an_interval())


def a_user() -> Any:
    return User.objects.create_user("ada")


def a_group() -> Any:
    return Group.objects.create(name="ops")


Row = Callable[[], Any]
EDITED: dict[str, tuple[Row, str, Any, str, str]] = {
    # what is edited: the row, the other one's field and value, mine and my value
    "plan": (a_plan, "image", "registry.example.com/agent:7", "cpus", "2"),
    "plan, the same field": (a_plan, "health_path", "/theirs", "health_path", "/mine"),
    "plan, a size": (a_plan, "memory", 99 * 1024**2, "cpus", "2"),
    "plan, a document": (a_plan, "options", {"init": True}, "cpus", "2"),
    "host": (a_host, "cordoned", True, "max_instances", "9"),
    "channel": (a_channel, "min_level", "critical", "escalate_after", "5"),
    "registry": (a_registry, "username", "other", "username", "mine"),
    "interval": (an_interval, "every", 8, "period", "days"),
    "task": (a_task, "enabled", False, "description", "mine"),
    "user": (a_user, "is_staff", True, "first_name", "Ada"),
    "group": (a_group, "name", "oncall", "name", "night"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITED)
def test_the_second_is_told_and_overwrites_only_when_that_is_sent_again(
    world: World, admin_client: Client, case: str
) -> None:
    make, others_field, others_value, field, value = EDITED[case]
    row = make()
    page = page_of(row)
    sent = {**opened(admin_client, page), field: value}
    type(row)._default_manager.filter(pk=row.pk).update(**{others_field: others_value})
    again = admin_client.post(page, sent).context["adminform"].form
    said = unescape(" ".join(again.non_field_errors()))
    assert OVERWRITES in said
    assert str(row._meta.get_field(others_field).verbose_name) in said
    row.refresh_from_db()
    assert getattr(row, others_field) == others_value
    assert errors_of(admin_client, page, {**sent, "as_read": again["as_read"].value()}) == ""


@pytest.mark.parametrize("case", ["plan, a document", "task", "user"])
def test_who_edits_alone_is_asked_nothing(world: World, admin_client: Client, case: str) -> None:
    make, _, _, field, value = EDITED[case]
    row = make()
    page = page_of(row)
    assert errors_of(admin_client, page, {**opened(admin_client, page), field: value}) == ""


def test_what_dockmgr_writes_itself_is_no_edit(world: World, admin_client: Client) -> None:
    channel, task = a_channel(), a_task()
    for row, written in (
        (channel, {"failures": 3}),
        (task, {"total_run_count": 9, "last_run_at": world.now}),
    ):
        page = page_of(row)
        sent = opened(admin_client, page)
        type(row)._default_manager.filter(pk=row.pk).update(**written)
        assert errors_of(admin_client, page, sent) == ""


def test_rights_taken_meanwhile_are_not_given_back(admin_client: Client) -> None:
    user, group = a_user(), a_group()
    user.groups.add(group)
    page = page_of(user)
    sent = opened(admin_client, page)
    user.groups.clear()
    assert "groups" in errors_of(admin_client, page, sent)
    assert not user.groups.exists()


def test_an_odd_word_for_what_was_read_holds_nobody(world: World, admin_client: Client) -> None:
    page = page_of(world.plan)
    sent = opened(admin_client, page)
    for text in ("", "x", "[1]", "{}", "[" * 5000, '{"image": 5}'):
        assert errors_of(admin_client, page, {**sent, "as_read": text}) == "", text


def test_the_page_tells_no_value_by_it(world: World, admin_client: Client) -> None:
    page = page_of(world.plan)
    said = opened(admin_client, page)["as_read"]
    assert re.fullmatch(r'\{("[a-z_]+":"[0-9a-f]{12}",?)+\}', said)


@pytest.mark.django_db(transaction=True)
def test_a_page_that_has_no_transaction_takes_its_form_as_well(admin_client: Client) -> None:
    user = a_user()
    sent = {"password1": "Lantern-of-7-vaults", "password2": "Lantern-of-7-vaults", "usable_password": "true"}
    assert admin_client.post(f"/admin/auth/user/{user.pk}/password/", sent).status_code == 302
    user.refresh_from_db()
    assert user.check_password("Lantern-of-7-vaults")


@pytest.mark.django_db(transaction=True)
def test_who_edits_outside_of_a_test_is_told_as_well(admin_client: Client) -> None:
    row = a_channel()
    page = page_of(row)
    sent = {**opened(admin_client, page), "escalate_after": "5"}
    type(row).objects.update(min_level="critical")
    assert OVERWRITES in errors_of(admin_client, page, sent)
