"""A fleet on fakes, commands that can be run, and a broker in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery.backends.base import DisabledBackend
from django.apps import apps
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.signals import post_migrate
from kombu import pools
from pytest_django.fixtures import Settings

from instances import state_file
from instances.db.batch_writer import BatchWriter
from instances.management.commands import logs as logs_command
from instances.models import Host, Plan
from instances.operations import service
from instances.operations.leases import KEEPER
from tasks import app as tasks_app
from tasks import (
    checks,
    clockwork,
    looks,
    maintenance,
    many_checks,
    operations,
    records,
    trials,
)
from tasks.app import app
from tests.factories import IMAGE, World
from tests.fakes.facts import image_facts
from tests.fakes.outside import fake_outside


@pytest.fixture(scope="session", autouse=True)
def flushing_is_cheap(django_db_setup: None, django_db_blocker: Any) -> None:
    """A flush leaves what `migrate` does, so that tests may come in any order.

    The rows are put back as they were: permissions made anew cost more than the rest of a flush. PostgreSQL
    makes new files for each table it truncates, where a test leaves a few rows.
    """
    with django_db_blocker.unblock():
        migrated = {table: rows for table in connection.introspection.table_names() if (rows := _rows(table))}
    if not migrated.pop("django_migrations", None):
        return  # of the tests of this run none asks for a database
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)

    def put_back(**_: Any) -> None:
        if ContentType.objects.exists():  # after a migration that some test makes
            return
        with transaction.atomic(), connection.cursor() as cursor:
            for table, rows in migrated.items():
                places = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {connection.ops.quote_name(table)} VALUES ({places})", rows)

    post_migrate.connect(put_back, sender=apps.get_app_config("instances"), weak=False)
    if connection.vendor == "postgresql":
        setattr(type(connection.ops), "sql_flush", delete_all)  # noqa: B010


def _rows(table: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
        return list(cursor.fetchall())


def delete_all(operations: Any, _style: Any, tables: list[str], **_: Any) -> list[str]:
    """Statements that empty the tables in any order."""
    unchecked = "SET LOCAL session_replication_role = replica"
    return [unchecked, *(f"DELETE FROM {operations.quote_name(table)}" for table in tables)]


@pytest.fixture
def world(db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A plan and a host on a fake engine; commands, tasks and calls use the same fakes."""
    state = Path(settings.STATE_FILE)
    yield a_world(monkeypatch)
    state.unlink(missing_ok=True)


CLOCKED = (
    tasks_app,
    checks,
    clockwork,
    looks,
    many_checks,
    operations,
    maintenance,
    records,
    trials,
    logs_command,
)


def a_world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A fresh world that commands, tasks and calls see from now on."""
    if connection.in_atomic_block:
        # The keeper has a session of its own, which can't see the rows of a test's transaction.
        monkeypatch.setattr(KEEPER, "keeping", lambda _lease: nullcontext())
    monkeypatch.setattr(state_file, "EVERY", 0.0)  # else what is written soon after is written by a thread
    outside = fake_outside()
    plan = Plan(name="pro", image=IMAGE, start_grace=5, cpus=2, memory=2 * 1024**3)
    host = Host(name="local", docker_url="unix:///fake/one.sock")
    for row, changed in ((plan, ["image", "start_grace", "cpus", "memory"]), (host, ["docker_url"])):
        many: Any = type(row)._default_manager
        many.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=changed)
    monkeypatch.setattr(service, "OUTSIDE", outside)
    for clocked in CLOCKED:
        monkeypatch.setattr(clocked, "SYSTEM", outside.clock)
    world = World(outside, plan, host)
    world.engine.images[IMAGE] = image_facts("agent-1")
    return world


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("restart", "--customer-id", "c1")` as from a shell."""

    def command(*words: str) -> Ran:
        capsys.readouterr()
        code = 0
        try:
            call_command(*words)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return command


@dataclass(frozen=True)
class Message:
    """A task message as a worker would get it; `everything` is all that went through the broker."""

    task: str
    kwargs: dict[str, Any]
    headers: dict[str, Any]
    everything: str


@pytest.fixture
def committer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real committer; its thread gives its connection back, so that the test database can go."""

    def commit(items: Any) -> Any:
        try:
            return checks.commit(items)
        finally:
            connection.close()

    monkeypatch.setattr(checks, "COMMITTER", BatchWriter(commit))
    yield


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[Message]]]:
    """`sent("operations")` takes the messages of a queue off a broker in memory."""
    with broker_in_memory(monkeypatch) as take:
        yield take


@contextmanager
def broker_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[Message]]]:
    """The broker of whatever runs meanwhile, empty at first, by a way to take a queue's messages off."""
    with broker_at("memory://", monkeypatch) as take:
        yield take


@contextmanager
def broker_at(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[Message]]]:
    """The same on any broker."""
    monkeypatch.setitem(app.conf, "broker_url", url)
    monkeypatch.setattr(app, "_backend_cache", DisabledBackend(app))
    _forget_connections()
    with app.connection_for_read() as connection:
        channel = connection.channel()

        def take(queue: str) -> list[Message]:
            bound = app.amqp.queues[queue](channel)
            bound.declare()
            return list(iter(lambda: _message(bound.get(no_ack=True)), None))

        for name in app.amqp.queues:
            take(name)
        yield take
    _forget_connections()


def _forget_connections() -> None:
    pools.reset()
    of_app: Any = app
    of_app._pool = None
    of_app.amqp._producer_pool = None


def _message(raw: Any) -> Message | None:
    if raw is None:
        return None
    everything = json.dumps([raw.payload, raw.headers, raw.properties], default=str)
    return Message(raw.headers["task"], raw.payload[1], raw.headers, everything)
