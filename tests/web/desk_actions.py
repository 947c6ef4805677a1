"""The table of all that can be done at the desk: where, who may, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from instances.db.clock import SYSTEM
from instances.models import (
    ApiToken,
    Bulk,
    Channel,
    Health,
    Host,
    Incident,
    Instance,
    Mute,
    Operation,
    Plan,
    Registry,
)
from tests.web.roles import LOOKERS, PEOPLE

STAFF = frozenset({"bare", "viewer", "operator", "admin", "superuser", "operate_instance", "view_logs",
                   "view_env_names", "change_secrets", "decommission", "choose_image",
                   "change_incident"})  # fmt: skip
VIEWERS = STAFF - {"bare"}
Who = frozenset[str]
BECAUSE = {"reason": "because"}
OPERATORS = frozenset({"operator", "admin", "superuser"})
ADMINS = frozenset({"admin", "superuser"})
NOBODY: Who = frozenset()
OPERATE, SECRETS = OPERATORS | {"operate_instance"}, ADMINS | {"change_secrets"}

Effect = Callable[[str, Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Action:
    """A POST below /admin/; `{names}` in it are keys of `Fleet.ids`.

    Whoever is `allowed` causes `effect` (asked with the actor's name and the fleet's ids), the task
    `message` to be enqueued and the audit entry `audit`. Others of the `people` are refused with 403,
    or, when `ignored`, see the list again.
    """

    address: str
    allowed: frozenset[str]
    effect: Effect | None = None
    message: str = ""
    audit: tuple[str, str] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    ignored: bool = False
    people: tuple[str, ...] = PEOPLE

    @property
    def name(self) -> str:
        return f"{self.address}{self.fields.get('action', '')}"

    def at(self, ids: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """The address and the fields that are sent to it."""
        fields = {name: value.format(**ids) for name, value in self.fields.items()}
        return f"/admin/{self.address.format(**ids)}", fields


def operation(kind: str) -> Effect:
    return lambda by, _: Operation.objects.filter(kind=kind, customer_id="c1", requested_by=by).exists()


def health(customer_id: str, paused: bool) -> Effect:
    return lambda *_: (Health.objects.get(instance__customer_id=customer_id).status == "paused") is paused


def bulk(verb: str) -> Effect:
    return lambda by, _: Bulk.objects.filter(verb=verb, by=by, reason="because").exists()


def there(model: type[Model], **wanted: Any) -> Effect:
    return lambda *_: model._default_manager.filter(**wanted).exists()


def gone(model: type[Model], which: str) -> Effect:
    return lambda _, ids: not model._default_manager.filter(pk=ids[which]).exists()


def muted(by: str, _: object) -> bool:
    return Mute.objects.filter(instance__customer_id="c1", by=by, until__gt=SYSTEM.now()).exists()


def muted_at(column: str) -> Effect:
    return lambda by, ids: Mute.objects.filter(**{column: ids[column]}, by=by).exists()


def on_instance(verb: str, effect: Effect | None, message: str = "", **fields: str) -> Action:
    allowed = ADMINS | {verb} if verb == "decommission" else OPERATE
    which, customer = ("paused", "c2") if verb in ("resume", "unmute") else ("instance", "c1")
    address = f"instances/instance/{{{which}}}/do/{verb}/"
    return Action(address, allowed, effect, message, (verb, customer), {"reason": "because", **fields})


def selected(
    path: str,
    action: str,
    which: str,
    allowed: Who,
    effect: Effect | None = None,
    message: str = "",
    audit: tuple[str, str] | None = None,
    **fields: str,
) -> Action:
    given = {"action": action, "_selected_action": f"{{{which}}}", "index": "0", **BECAUSE, **fields}
    return Action(path, allowed, effect, message, audit, given, ignored=True)


CARRY_ON, CARRY_OUT = "dockmgr.carry_on", "dockmgr.carry_out_bulk"
SECRET = {"name": "NEW", "value": "n3w-v4lue", "reason": "because"}

VERBS = (
    on_instance("check", None, "dockmgr.check_health"),
    on_instance("restart", operation("restart"), CARRY_ON),
    on_instance("update", operation("update"), CARRY_ON),
    on_instance("pause", health("c1", True)),
    on_instance("resume", health("c2", False)),
    on_instance("mute", muted, lasts="2h"),
    on_instance("unmute", lambda *_: not Mute.objects.filter(until__gt=SYSTEM.now()).exists()),
    on_instance("decommission", operation("decommission"), CARRY_ON, confirmed="c1"),
)
QUESTIONS = (
    Action("instances/instance/{instance}/ask/facts/", VIEWERS, None, "dockmgr.container_facts"),
    Action("instances/instance/{instance}/ask/validation/", OPERATE, None, "dockmgr.validate",
           ("validate", "c1")),
    Action("instances/instance/{instance}/ask/logs/", OPERATORS | {"view_logs"}, None, "dockmgr.log_view",
           ("read log", "c1")),
    Action("instances/host/{host}/test/", OPERATE, None, "dockmgr.test_host", ("test host", "local")),
    Action("instances/channel/{channel}/test/", OPERATE, None, "dockmgr.try_channel",
           ("test channel", "ops")),
)  # fmt: skip
BUTTONS = (
    Action("instances/instance/{instance}/secrets/", SECRETS,
           lambda *_: Instance.objects.get(customer_id="c1").env["NEW"] == "n3w-v4lue",
           audit=("change secret", "c1"), fields=SECRET),
    Action("instances/plan/{plan}/secrets/", SECRETS,
           lambda *_: Plan.objects.get(name="pro").env == {"NEW": "n3w-v4lue"},
           audit=("change secret", "plan pro"), fields=SECRET),
    Action("instances/plan/{plan}/update/", OPERATE, bulk("update"), CARRY_OUT,
           ("update selection", "selection update"), BECAUSE),
    Action("instances/incident/{incident}/acknowledge/", OPERATORS | {"change_incident"},
           lambda by, _: Incident.objects.get().acknowledged_by == by, audit=("acknowledge", ""),
           fields=BECAUSE),
    Action("instances/incident/{incident}/mute/", OPERATE, muted, audit=("mute", ""),
           fields={**BECAUSE, "lasts": "2h"}),
    *(Action(f"instances/{kind}/{{{kind}}}/mute/", OPERATE, muted_at(kind), audit=("mute", f"{kind} {name}"),
             fields={**BECAUSE, "lasts": "2h"}) for kind, name in (("host", "local"), ("plan", "pro"))),
    *(Action(f"instances/{kind}/{{{kind}}}/unmute/", OPERATE, audit=("unmute", f"{kind} {name}"),
             fields=BECAUSE) for kind, name in (("host", "local"), ("plan", "pro"))),
    Action("instances/pendingpurge/{purge}/try/", ADMINS | {"decommission"}, None, "dockmgr.tidy_up",
           ("purge", "former"), BECAUSE),
    Action("instances/apitoken/{token}/revoke/", ADMINS,
           there(ApiToken, name="billing", revoked_at__isnull=False),
           audit=("revoke token", "billing"), fields=BECAUSE),
    Action("instances/apitoken/add/", ADMINS, there(ApiToken, name="new", scope="admin"),
           audit=("issue token", "new"),
           fields={**BECAUSE, "name": "new", "scope": "admin", "days": "30"}),
)  # fmt: skip
INSTANCES, TASKS = "instances/instance/", "django_celery_beat/periodictask/"
SELECTIONS = (
    *(selected(INSTANCES, f"{verb}_selected", "instance", OPERATE, bulk(verb), CARRY_OUT,
               (f"{verb} selection", f"selection {verb}"), confirmed="1")
      for verb in ("check", "restart", "update", "pause")),
    selected(TASKS, "disable_tasks", "task", ADMINS, there(PeriodicTask, name="spare", enabled=False), "",
             ("disable tasks", "spare")),
    selected(TASKS, "enable_tasks", "sleeping", ADMINS, there(PeriodicTask, name="asleep", enabled=True), "",
             ("enable tasks", "asleep")),
    selected(TASKS, "toggle_tasks", "task", ADMINS, there(PeriodicTask, name="spare", enabled=False), "",
             ("toggle tasks", "spare")),
    selected(TASKS, "run_tasks", "task", ADMINS, None, "dockmgr.sweep", ("run tasks", "spare")),
)  # fmt: skip

PLAN = {
    "image": "registry.example.com/agent:1.0", "cpus": "0.25", "memory": "512m", "disk": "10g",
    "container_port": "8080",
    "data_path": "/data", "stop_timeout": "10", "health_path": "/healthz", "health_expect": "auto",
    "start_grace": "60", "update_strategy": "recreate", "reason": "because",
}  # fmt: skip
HOST = {
    "address": "127.0.0.9", "first_port": "20000", "last_port": "20009", "docker_url": "unix:///x.sock",
    "network": "customers", "overcommit": "1.5",
}  # fmt: skip
CHANNEL = {
    "new_url": "json://127.0.0.1:9/y",
    "incidents": "on",
    "min_level": "critical",
    "timezone": "UTC",
    "reason": "because",
}
USER = {"username": "renamed", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
NEW_USER = {"username": "new", "password1": "pw-Of-a-new-1", "password2": "pw-Of-a-new-1",
            "usable_password": "true"}  # fmt: skip
TASK = {"name": "renamed", "task": "dockmgr.sweep", "interval": "{interval}", "args": "[]", "kwargs": "{{}}",
        "headers": "{{}}"}  # fmt: skip
CRONTAB = {"minute": "9", "hour": "*", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*",
           "timezone": "UTC"}  # fmt: skip
CLOCKED = {"clocked_time_0": "2030-01-01", "clocked_time_1": "00:00:00"}


@dataclass(frozen=True)
class Edited:
    """A kind of row that is added, changed and deleted by its own form; `found` tells the written row.

    `new` and `made` take the place of `fields` and `found` where a row is added with others.
    """

    path: str
    which: str  # the row that is changed
    spare: str  # the row that is deleted: nothing else needs it
    model: type[Model]
    fields: Mapping[str, Any]
    found: Mapping[str, Any]
    new: Mapping[str, Any] | None = None
    made: Mapping[str, Any] | None = None

    @property
    def actions(self) -> tuple[Action, ...]:
        new, kind = self.new or self.fields, self.model._meta.verbose_name
        spare, here = {"post": "yes"}, there(self.model, **self.found)
        made = there(self.model, **(self.made or self.found))
        word = {verb: (f"{verb} {kind}", "") for verb in ("add", "change", "delete")}
        left = gone(self.model, self.spare)
        return (
            Action(f"{self.path}add/", ADMINS, made, audit=word["add"], fields=new),
            Action(f"{self.path}{{{self.which}}}/change/", ADMINS, here, audit=word["change"],
                   fields=self.fields),
            Action(f"{self.path}{{{self.spare}}}/delete/", ADMINS, left, audit=word["delete"], fields=spare),
            selected(self.path, "delete_selected", self.spare, ADMINS, left, "", word["delete"], post="yes"),
        )  # fmt: skip


EDITED = (
    Edited("instances/plan/", "plan", "spare_plan", Plan, {**PLAN, "name": "pro"},
           {"name": "pro", "cpus": 0.25}, {**PLAN, "name": "other"}, {"name": "other", "cpus": 0.25}),
    Edited("instances/host/", "host", "spare_host", Host, {**HOST, "name": "local"},
           {"name": "local", "address": "127.0.0.9"}, {**HOST, "name": "other"}, {"name": "other"}),
    Edited("instances/channel/", "channel", "spare_channel", Channel, {**CHANNEL, "name": "other"},
           {"name": "other", "min_level": "critical"}),
    Edited("instances/registry/", "registry", "spare_registry", Registry,
           {"name": "r.io", "username": "robot", "new_password": "a-password", "reason": "because"},
           {"name": "r.io", "username": "robot"}),
    Edited("auth/user/", "user", "user", User, USER, {"username": "renamed"}, NEW_USER,
           {"username": "new"}),
    Edited("auth/group/", "group", "group", Group, {"name": "renamed"}, {"name": "renamed"}),
    Edited(TASKS, "task", "task", PeriodicTask, TASK, {"name": "renamed"}),
    Edited("django_celery_beat/intervalschedule/", "interval", "interval", IntervalSchedule,
           {"every": "55", "period": "hours"}, {"every": 55}),
    Edited("django_celery_beat/crontabschedule/", "crontab", "crontab", CrontabSchedule, CRONTAB,
           {"minute": "9"}),
    Edited("django_celery_beat/clockedschedule/", "clocked", "clocked", ClockedSchedule, CLOCKED,
           {"clocked_time__year": 2030}),
)  # fmt: skip
PASSWORD = Action(
    "auth/user/{user}/password/",
    ADMINS,
    lambda _, ids: User.objects.get(pk=ids["user"]).check_password("pw-Of-a-new-1"),
    audit=("change user", "somebody"),
    fields=NEW_USER,
)
ACTIONS = (
    *VERBS,
    *QUESTIONS,
    *BUTTONS,
    PASSWORD,
    *SELECTIONS,
    *(replace(action, people=LOOKERS) for kind in EDITED for action in kind.actions),
)
