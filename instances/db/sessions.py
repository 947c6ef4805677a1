"""Database sessions of threads that need one now and then: given back, or lent to each in turn."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.utils import ConnectionHandler

KEPT = 2  # sessions that stay open while no turn is under way
LONGEST = 300.0  # seconds a session is used: after that a new password or another server is in force


def release_session() -> None:
    """Close this thread's session, unless a transaction is open; the next query opens a new one."""
    if not connection.in_atomic_block:
        connection.close()


class LentSessions:
    """Sessions that the threads of a process use in turn, each of them by one thread at a time.

    A thread which asks every two seconds would else open a session as often, and opening costs the server
    more than what is asked. Before its next use a session is tried; one that broke is replaced. A turn that
    failed leaves none behind.
    """

    def __init__(
        self, handler: ConnectionHandler = connections, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._handler, self._clock = handler, clock
        self._lock = threading.Lock()
        self._free: list[Any] = []
        self._since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()  # by the server's end of a session
        self._process = os.getpid()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What this thread asks meanwhile goes over a session that may be one of before.

        A turn within a turn has one of its own; what the outer one had is lent to others from then on. Within
        a transaction there is nothing to lend.
        """
        if self._handler[DEFAULT_DB_ALIAS].in_atomic_block:
            yield
            return
        self._give_back()
        self._take()
        try:
            yield
            self._give_back()
        finally:
            self._handler.close_all()

    def end(self) -> None:
        """Close those that nobody uses at the moment."""
        with self._lock:
            free, self._free = self._free, []
        for session in free:
            session.close()

    def _take(self) -> None:
        with self._lock:
            if self._process != os.getpid():  # a forked child must not speak on its parent's sessions
                self._process, self._free = os.getpid(), []
            session = self._free.pop() if self._free else None
        if session is None:
            return
        if self._clock() - self._since.get(session.connection, 0.0) >= LONGEST:
            session.close()
            return
        session.health_check_done = False  # as Django does between two requests
        self._handler[DEFAULT_DB_ALIAS] = session

    def _give_back(self) -> None:
        session = self._handler[DEFAULT_DB_ALIAS]
        if session.vendor != "postgresql" or session.connection is None or session.in_atomic_block:
            return
        del self._handler[DEFAULT_DB_ALIAS]
        if not session.allow_thread_sharing:
            session.inc_thread_sharing()
        with self._lock:
            self._since.setdefault(session.connection, self._clock())
            if has_room := len(self._free) < KEPT:
                self._free.append(session)
        if not has_room:
            session.close()


SESSIONS = LentSessions()
