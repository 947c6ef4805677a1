"""Database sessions of threads that need one now and then: given back, or lent to each in turn."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.utils import ConnectionHandler

KEPT = 2  # sessions that stay open while no turn is under way
LONGEST = 300.0  # seconds a session is used: after that a new password or another server is in force


def release_session() -> None:
    """Close this thread's session, unless a transaction is open; the next query opens a new one."""
    if not connection.in_atomic_block:
        connection.close()


@dataclass(frozen=True)
class _Kept:
    """A session nobody uses at the moment; `server` is the server's end of it."""

    session: Any
    server: Any
    since: float

    def is_fresh(self, now: float) -> bool:
        return now - self.since < LONGEST


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
        self._free: list[_Kept] = []
        self._process = os.getpid()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What this thread asks meanwhile goes over a session that may be one of before. Not to be nested."""
        kept = self._take()
        try:
            yield
            self._give_back(kept)
        finally:
            self._handler.close_all()

    def _take(self) -> _Kept | None:
        with self._lock:
            if self._process != os.getpid():  # a forked child must not speak on its parent's sessions
                self._process, self._free = os.getpid(), []
            kept = self._free.pop() if self._free else None
        if kept is None:
            return None
        if not kept.is_fresh(self._clock()):
            kept.session.close()
            return None
        kept.session.health_check_done = False  # as Django does between two requests
        self._handler[DEFAULT_DB_ALIAS] = kept.session
        return kept

    def _give_back(self, kept: _Kept | None) -> None:
        session = self._handler[DEFAULT_DB_ALIAS]
        if session.vendor != "postgresql" or session.connection is None or session.in_atomic_block:
            return
        is_same = kept is not None and kept.server is session.connection
        since = kept.since if kept and is_same else self._clock()
        del self._handler[DEFAULT_DB_ALIAS]
        if kept is None:
            session.inc_thread_sharing()
        with self._lock:
            if has_room := len(self._free) < KEPT:
                self._free.append(_Kept(session, session.connection, since))
        if not has_room:
            session.close()


SESSIONS = LentSessions()
