"""Threads use a few sessions of a real PostgreSQL in turn, and none that broke, is old or is another's."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler

from dockmgr.database import database
from instances.db.sessions import KEPT, LONGEST, LentSessions
from tests.real.live import wait_until

pytestmark = pytest.mark.real


class Bench:
    """Sessions that are lent, with a clock that is set by hand."""

    def __init__(self, url: str) -> None:
        self.now = 0.0
        self.handler = ConnectionHandler({"default": database(url)})
        self.lent = LentSessions(self.handler, lambda: self.now)
        self.own: Any = ConnectionHandler({"default": database(url)})["default"]

    def ask(self, sql: str) -> Any:
        return _one(self.handler["default"], sql)

    def session(self) -> int:
        """The server's number of the session this thread has now."""
        return int(self.ask("SELECT pg_backend_pid()"))

    def turn(self) -> int:
        with self.lent.turn():
            return self.session()

    def kill(self, session: int) -> None:
        _one(self.own, f"SELECT pg_terminate_backend({session}, 5000)")

    def open_sessions(self) -> int:
        ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        return int(_one(self.own, f"{ours} AND pid <> pg_backend_pid()"))


def _one(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def on_a_thread(work: Callable[[], int]) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(30)
    return found[0]


@pytest.fixture
def bench(postgres_url: str, django_db_blocker: Any) -> Iterator[Bench]:
    with django_db_blocker.unblock():
        bench = Bench(postgres_url)
        yield bench
        bench.lent.end()
        wait_until(lambda: bench.open_sessions() == 0, 30)
        bench.own.close()


def test_threads_use_one_session_after_another(bench: Bench) -> None:
    assert bench.turn() == on_a_thread(bench.turn) == on_a_thread(bench.turn)
    assert bench.handler["default"].connection is None


def test_turns_beside_each_other_have_their_own_and_few_are_kept(bench: Bench) -> None:
    before, enough = bench.open_sessions(), KEPT + 2
    together = threading.Barrier(enough)
    found: list[int] = []

    def work() -> None:
        with bench.lent.turn():
            found.append(bench.session())
            together.wait(30)

    threads = [threading.Thread(target=work) for _ in range(enough)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == enough
    wait_until(lambda: bench.open_sessions() == before + KEPT, 30)


def test_a_session_that_broke_meanwhile_is_replaced(bench: Bench) -> None:
    first = bench.turn()
    bench.kill(first)
    assert bench.turn() != first


def test_a_turn_that_failed_leaves_no_session(bench: Bench) -> None:
    first = bench.turn()
    with pytest.raises(OperationalError, match=r"terminating|closed"), bench.lent.turn():
        bench.kill(bench.session())
        bench.session()
    with pytest.raises(KeyError), bench.lent.turn():
        raise KeyError(first)
    assert bench.lent._free == []


def test_a_transaction_keeps_its_session(bench: Bench) -> None:
    with bench.lent.turn():
        first, connection = bench.session(), bench.handler["default"]
        connection.set_autocommit(False)
        connection.in_atomic_block = True  # as `atomic` does, for the default handler
        assert bench.turn() == first == bench.session()
        connection.in_atomic_block = False
        connection.rollback()
        connection.set_autocommit(True)


def test_a_session_is_not_used_for_ever(bench: Bench) -> None:
    first = bench.turn()
    bench.now += LONGEST - 1
    assert bench.turn() == first
    bench.now += 1
    assert bench.turn() != first


def test_a_forked_child_does_not_speak_on_its_parents_sessions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.turn()
    kept = list(bench.lent._free)
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        assert bench.turn() != first
    for session in kept:
        session.close()


def test_a_turn_within_a_turn_leaves_none_open(bench: Bench) -> None:
    with bench.lent.turn():
        outer = bench.session()
        inner = {bench.turn(), bench.turn()}
        again = bench.session()
    assert inner == {outer} and again != outer
    assert len(bench.lent._free) == KEPT
