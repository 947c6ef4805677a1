"""A fleet with one of everything, the people who might touch it, and a way to see that nothing changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, transaction
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask
from pytest_django.plugin import DjangoDbBlocker

from instances.access import tokens
from instances.access.audit import Author, audit
from instances.checks.record import record
from instances.db.clock import SYSTEM
from instances.models import (
    AuditEntry,
    Bulk,
    Channel,
    Host,
    Instance,
    Mute,
    Notification,
    Operation,
    PendingPurge,
    Plan,
    Registry,
    Sweep,
)
from tasks.app import app
from tests.desk import person
from tests.factories import World, a_check
from tests.fast.conftest import Message, a_world, broker_in_memory

OWN = (
    "operate_instance",
    "view_logs",
    "view_env_names",
    "change_secrets",
    "decommission",
    "choose_image",
    "change_incident",
)
OUTSIDE = ("nobody", "outsider", "former")
INSIDE = ("bare", "viewer", "operator", "admin", "superuser")
PEOPLE = (*OUTSIDE, *INSIDE, *OWN)
LOOKERS = ("nobody", "outsider", "bare", "viewer", "operator", "admin")
# What looking leaves behind: who logged in, which token was used, and the record of it all.
LEFT_OUT = ("django_session", "instances_auditentry", "django_migrations")
NOTED = {"auth_user": "last_login", "instances_apitoken": "last_used_at"}


@dataclass
class Fleet:
    """`ids` are what addresses call the things by; `take` empties a queue of the broker."""

    world: World
    take: Callable[[str], list[Message]]
    ids: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    before: str = ""

    def messages(self) -> list[str]:
        """The tasks that were enqueued since this was last asked."""
        return [message.task for queue in app.amqp.queues for message in self.take(queue)]

    @contextmanager
    def undone(self, who: str) -> Iterator[Client]:
        """Somebody's browser; whatever is written meanwhile is taken back, new sessions too."""
        client = self.clients[who]
        kept = client.cookies
        client.cookies = deepcopy(kept)
        with undone():
            yield client
        client.cookies = kept

    def state(self) -> str:
        """One text for all that the database holds, but for what looking leaves behind."""
        return digest()

    def is_untouched(self) -> bool:
        """No row changed and nothing was enqueued."""
        return self.state() == self.before and not self.messages()


def digest() -> str:
    """One text for all that the database holds, but for what looking leaves behind."""
    found = hashlib.sha256()
    with connection.cursor() as cursor:
        for table in sorted(set(connection.introspection.table_names(cursor)) - set(LEFT_OUT)):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            kept = [at for at, name in enumerate(names) if name != NOTED.get(table)]
            found.update(repr((table, sorted(repr([row[at] for at in kept]) for row in cursor))).encode())
    return found.hexdigest()


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written meanwhile is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def a_fleet(blocker: DjangoDbBlocker) -> Iterator[Fleet]:
    """One of everything, in a database that is as before afterwards.

    Pages are decided about and not drawn: that takes most of the time and allows nothing.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        blocker.unblock(),
        broker_in_memory(patch) as take,
        undone(),
    ):
        patch.setattr(SimpleTemplateResponse, "rendered_content", "")
        patch.setattr(type(admin.site), "each_context", lambda *_: {})
        fleet = Fleet(a_world(patch), take)
        _furnish(fleet)
        fleet.clients = {who: _client(who) for who in PEOPLE}
        fleet.messages()
        fleet.before = fleet.state()
        yield fleet


def _client(who: str) -> Client:
    client = Client()
    if who != "nobody":
        client.force_login(_someone(who))
    if who == "former":
        User.objects.filter(username=who).update(is_active=False)
    return client


def _someone(who: str) -> User:
    """A member of the group of that name; or a viewer with one permission more; or somebody special."""
    if who == "superuser":
        return User.objects.create_superuser(who)
    if who in ("viewer", "operator", "admin"):
        return person(who)
    user = User.objects.create_user(who, is_staff=who != "outsider")
    if who in OWN:
        user.groups.add(Group.objects.get(name="viewer"))
        user.user_permissions.add(Permission.objects.get(codename=who))
    elif who in OUTSIDE:
        user.groups.add(Group.objects.get(name="admin"))
    return user


def _furnish(fleet: Fleet) -> None:
    world, now = fleet.world, SYSTEM.now()
    c1, c2 = world.instance("c1"), world.instance("c2", status="paused")
    gone = Instance.objects.create(
        customer_id="gone",
        subdomain="gone.example.com",
        plan=world.plan,
        host=world.host,
        decommissioned_at=now,
    )
    record([a_check(world, c1)], world.now)
    incident = world.incident(c1)
    channel, spare = (
        Channel.objects.create(name=name, url="json://127.0.0.1:9/x") for name in ("ops", "old")
    )
    told = Notification.objects.create(channel=channel, kind="opened", level="info", created_at=now)
    mute = Mute.objects.create(instance=c2, starts_at=now, until=now + timedelta(days=1), by="tests")
    operation = Operation.objects.create(
        kind="restart", instance=c1, customer_id="c1", status="succeeded", requested_by="tests",
        created_at=now, finished_at=now, lease_expires_at=now,
    )  # fmt: skip
    audit(Author("command", "tests"), "restart", "c1", "done", now)
    fleet.ids |= {
        "instance": c1.pk, "paused": c2.pk, "gone": gone.pk, "incident": incident.pk,
        "check": c1.checks.get().pk,
        "channel": channel.pk, "spare_channel": spare.pk, "notification": told.pk, "mute": mute.pk,
        "operation": operation.pk, "audit": AuditEntry.objects.latest("pk").pk,
        "bulk": Bulk.objects.create(verb="check", by="tests", created_at=now, instances=[c1.pk]).pk,
        "purge": PendingPurge.objects.create(
            host=world.host, volume="dockmgr-former-data", customer_id="former", asked_at=now, holders="x",
        ).pk,
        "sweep": Sweep.objects.create(started_at=now, expires_at=now, finished_at=now, state="finished").pk,
        "token": tokens.issue("billing", "read", "tests", now)[0].pk,
        "plan": world.plan.pk, "spare_plan": Plan.objects.create(name="spare").pk,
        "registry": Registry.objects.create(name="a.io").pk,
        "spare_registry": Registry.objects.create(name="b.io").pk,
        "host": world.host.pk, "spare_host": Host.objects.create(name="spare").pk,
        "user": User.objects.create_user("somebody").pk, "group": Group.objects.create(name="extra").pk,
        **_schedules(),
    }  # fmt: skip


def _schedules() -> dict[str, Any]:
    interval = IntervalSchedule.objects.create(every=77, period="seconds")
    task = PeriodicTask.objects.create(name="spare", task="dockmgr.sweep", interval=interval, queue="health")
    asleep = PeriodicTask.objects.create(
        name="asleep", task="dockmgr.sweep", interval=interval, enabled=False
    )
    return {
        "task": task.pk,
        "sleeping": asleep.pk,
        "used_interval": interval.pk,
        "interval": IntervalSchedule.objects.create(every=99, period="days").pk,
        "crontab": CrontabSchedule.objects.create(minute="7").pk,
        "clocked": ClockedSchedule.objects.create(clocked_time=SYSTEM.now()).pk,
    }
