"""A PostgreSQL that falls silent, or holds a lock, is given up; nobody waits without an end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler

from dev.servers import postgres
from dockmgr.database import database
from instances.db import batch_writer, patience
from instances.db.batch_writer import BatchWriter
from instances.db.errors import database_sentence
from tests.real.silent_path import SilentPath

pytestmark = pytest.mark.real
LIMIT = 15.0  # seconds a silent database is waited for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("silent-postgres"), {}) as url:
        yield url


@pytest.fixture(autouse=True)
def databases_may_be_used(django_db_blocker: Any) -> Iterator[None]:
    """Those named here; the run's own is left alone."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def path(server: str) -> Iterator[SilentPath]:
    parts = urlsplit(server)
    with SilentPath((str(parts.hostname), int(parts.port or 0))).running() as path:
        yield path


def connected(url: str, port: int | None = None, seconds: float = 8.0) -> Any:
    """A connection as a process with this DATABASE_URL has it."""
    parts = urlsplit(url)
    there = url.replace(f":{parts.port}/", f":{port or parts.port}/")
    return ConnectionHandler({"default": database(there, seconds)})["default"]


def ask(connection: Any, sql: str = "SELECT 1") -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None


@pytest.mark.thorough
def test_a_statement_that_is_never_answered_is_given_up_and_so_is_the_next_session(
    server: str, path: SilentPath
) -> None:
    connection = connected(server, path.port)
    assert ask(connection) == 1
    path.fall_silent()
    began = time.monotonic()
    with pytest.raises(OperationalError, match="did not answer in time"):
        ask(connection)
    connection.close()
    with pytest.raises(OperationalError, match="timeout"):
        ask(connection)
    assert time.monotonic() - began < LIMIT
    path.speak()
    connection.close()
    assert ask(connection) == 1
    connection.close()


def test_whoever_waits_for_the_batch_writer_hears_of_it_in_time(
    server: str, path: SilentPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connected(server, path.port)
    connection.inc_thread_sharing()
    monkeypatch.setattr(batch_writer, "connection", connection)

    def commit(items: Sequence[int]) -> Sequence[int]:
        ask(connection)
        return items

    committer = BatchWriter(commit)
    assert committer.submit(1).result(LIMIT) == 1
    path.fall_silent()
    waiting = [committer.submit(number) for number in range(20)]
    began = time.monotonic()
    for future in waiting:
        with pytest.raises(OperationalError):
            future.result(2 * LIMIT)
    assert time.monotonic() - began < LIMIT + 9  # one batch may have been before it
    path.speak()
    assert committer.submit(2).result(LIMIT) == 2


def test_the_server_ends_what_takes_too_long(server: str) -> None:
    connection, other = connected(server, seconds=1), connected(server, seconds=1)
    with pytest.raises(OperationalError, match="statement timeout"):
        ask(connection, "SELECT pg_sleep(5)")
    ask(other, "SELECT pg_advisory_lock(1)")
    with pytest.raises(OperationalError, match="lock timeout"):
        ask(connection, "SELECT pg_advisory_lock(1)")
    for used in (connection, other):
        used.close()


def test_sessions_begin_with_their_limits_but_not_behind_a_pooler(server: str) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    usual, pooled = connected(server), connected(f"{server}?pgbouncer=1")
    assert [ask(usual, f"SHOW {name}") for name in names] == ["8s", "4s", "15s"]
    assert [ask(pooled, f"SHOW {name}") for name in names] == ["0", "0", "0"]
    for used in (usual, pooled):
        used.close()


def test_a_pooler_that_passes_over_the_limits_is_refused(server: str) -> None:
    own = "application_name=mine"  # which every pooler hears
    for name in ("", f"&{own}"):
        unheard = connected(f"{server}?options=-c%20dockmgr.limits%3D{name}")  # as if they were not read
        with pytest.raises(OperationalError) as refused:
            ask(unheard)
        assert "add ?pgbouncer=1" in database_sentence(refused.value)
    named = connected(f"{server}?{own}")
    assert ask(named, "SHOW application_name") == "mine"
    named.close()


def test_a_migration_may_take_its_time(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connected(server, seconds=1)
    monkeypatch.setattr(patience, "connection", connection)
    with patience.unlimited():
        ask(connection, "SELECT pg_sleep(2.5)")
    with pytest.raises(OperationalError):
        ask(connection, "SELECT pg_sleep(5)")
    assert ask(connection, "SHOW statement_timeout") == "1s"
    connection.close()
