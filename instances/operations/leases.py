"""The leases of the operations a process works on: one thread renews them all."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.models import Q

from instances.lib.clock import Clock
from instances.models import Operation

logger = logging.getLogger(__name__)

QUEUED_FOR = 60.0  # seconds a queued operation waits for its message before `recover` sends another


def lease_until(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.LEASE_SECONDS)


@dataclass(eq=False)
class Lease:
    """The right to work on one operation. `lost` is set once another process is known to have it.

    It is kept up to `until`: a thread that hangs in its step would hold the instance for ever.
    """

    operation_id: uuid.UUID
    token: int
    clock: Clock
    lost: threading.Event = field(default_factory=threading.Event)
    until: datetime | None = None

    def is_overdue(self, now: datetime) -> bool:
        """Whether its holder has shown nothing for longer than anything it does may take."""
        return self.until is not None and now > self.until

    @property
    def row(self) -> Q:
        return Q(pk=self.operation_id, token=self.token)


def renew(leases: Collection[Lease], now: datetime) -> None:
    """Move the leases ahead with one statement, and mark those that were taken over as lost.

    What is held by a thread that hangs is left to run out.
    """
    leases = [lease for lease in leases if not lease.is_overdue(now)]
    if not leases:
        return
    rows = Operation.objects.filter(reduce(or_, (lease.row for lease in leases)))
    held = rows.exclude(lease_owner="").update(lease_expires_at=lease_until(now))
    if held == len(leases):
        return
    known = set(rows.values_list("pk", "token"))
    for lease in leases:
        if (lease.operation_id, lease.token) not in known:
            lease.lost.set()


class LeaseKeeper:
    """Keeps leases ahead of the clock, however long their steps take.

    Its thread lives while there is a lease to keep, and has a session of the database only while it
    renews. A renewal that fails is tried again with the next; two may be missed.
    """

    def __init__(self) -> None:
        self._leases: set[Lease] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    @contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        with self._changed:
            self._ensure_thread()
            self._leases.add(lease)
        try:
            yield
        finally:
            with self._changed:
                self._leases.discard(lease)
                self._changed.notify()

    def _ensure_thread(self) -> None:
        """A forked child inherits this object, but neither the thread nor what it had to keep."""
        if self._process != os.getpid():
            self._process, self._thread = os.getpid(), None
            self._leases.clear()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while leases := self._next():
            try:
                renew(leases, leases[0].clock.now())
            except DatabaseFailure:
                continue
            except Exception:  # a thread that ended would let the leases of all run out
                logger.exception("Leases could not be renewed.")
            finally:
                connection.close()

    def _next(self) -> list[Lease]:
        """What is to be renewed now; nothing when nothing is left, and the thread ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._leases, settings.LEASE_SECONDS / 3)
            if not self._leases:
                self._thread = None
            return list(self._leases)


KEEPER = LeaseKeeper()
