"""The operation row as journal and lock: who holds it, what was begun, what was done."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, F, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from instances import documents
from instances.alerts.operations import tell
from instances.counters import count_ended
from instances.db.moments import ahead
from instances.errors import LeaseLost
from instances.incidents.feed import tell_of_operation
from instances.lib.clock import Clock
from instances.limits import LATER, STEP
from instances.models import Operation
from instances.models.instance import SECRETS as INSTANCE_SECRETS
from instances.operations.leases import KEEPER, QUEUED_FOR, Lease, lease_until

SHORT_WAIT = STEP.longest * (1 + STEP.spread)  # seconds; the longest between two tries of a step
LONGEST_WAIT = timedelta(seconds=LATER.longest + 60)  # nothing that nobody holds is put off for longer
SECRETS = tuple(f"instance__{name}" for name in INSTANCE_SECRETS)
LONGEST_DETAIL = 1000  # characters


def me() -> str:
    """A name for this process, unique on the machine and telling to people."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"


def is_held(operation: Operation, now: datetime) -> bool:
    """Whether a process holds the operation, as far as this row tells."""
    return bool(operation.lease_owner) and operation.lease_expires_at >= now and not operation.finished_at


def abandoned(now: datetime) -> list[Operation]:
    """Unfinished operations whose holder has gone: their lease ran out."""
    return list(Operation.objects.filter(_has_run_out(now), finished_at=None).order_by("created_at"))


def _has_run_out(now: datetime) -> Q:
    """Leases that ended, and those further ahead than any can be: a clock that ran fast wrote them."""
    longest = max(lease_until(now), now + timedelta(seconds=QUEUED_FOR))
    held = ~Q(lease_owner="") & ahead("lease_expires_at", longest)
    put_off = ahead("lease_expires_at", max(longest, now + LONGEST_WAIT))
    return Q(lease_expires_at__lt=now) | held | put_off


def _times(failed: list[dict[str, Any]]) -> int:
    """How many failures these entries stand for; older ones stand for one each."""
    return sum(int(s.get("failures", 1)) for s in failed)


def _ordinal(number: int) -> str:
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")


def _take(rows: QuerySet[Operation], now: datetime) -> bool:
    """Become the holder of an unfinished operation among these, if there is one."""
    won = rows.filter(finished_at=None).update(
        lease_owner=me(),
        lease_expires_at=lease_until(now),
        token=F("token") + 1,
        status="running",
        started_at=Coalesce("started_at", Value(now, output_field=DateTimeField())),
    )
    return bool(won)


def _rows() -> QuerySet[Operation]:
    return Operation.objects.select_related("instance__plan", "instance__host")


def _read(operation_id: uuid.UUID) -> Operation:
    return _rows().get(pk=operation_id)


class Journal:
    """The right to work on one operation, as long as its token is the newest.

    Every write checks the token; the first one after a takeover raises LeaseLost, and the loser
    stops without touching anything more.
    """

    def __init__(self, operation: Operation, clock: Clock) -> None:
        self.operation = operation
        self._clock = clock
        self._lease = Lease(operation.pk, operation.token, clock)
        self._is_new = True
        self._is_locked = False
        # Made once: the row is written again and again.
        self._mine = Operation.objects.filter(self._lease.row, finished_at=None)

    @classmethod
    def claim(cls, operation_id: uuid.UUID, clock: Clock) -> Journal | None:
        """Become the holder, or None when the operation is finished or held by someone else."""
        now = clock.now()
        free = _has_run_out(now) | Q(lease_owner="")
        with transaction.atomic():
            if not _take(Operation.objects.filter(free, pk=operation_id), now):
                return None
            operation = _read(operation_id)
            if operation.token == 1:
                tell_of_operation(operation, operation.status, now)
        return cls(operation, clock)

    @classmethod
    def seize(cls, operation_id: uuid.UUID, clock: Clock) -> Journal | None:
        """Become the holder whoever holds it, who hears LeaseLost; None when there is nothing to hold.

        The instance comes without its secrets, which nobody may be able to read.
        """
        if not _take(Operation.objects.filter(pk=operation_id), clock.now()):
            return None
        return cls(_rows().defer(*SECRETS).get(pk=operation_id), clock)

    def write(self, **values: Any) -> None:
        """Change the row, as its holder. Raises LeaseLost."""
        self.check()
        if not self._mine.update(**values):
            raise self._taken_over()
        for name, value in values.items():
            setattr(self.operation, name, value)

    def refresh(self) -> None:
        """Read the row again, which may tell more than we know after a cut. Raises LeaseLost.

        The first time it was only just read, as it was taken.
        """
        if self._is_new:
            self._is_new = False
            return
        operation = _read(self.operation.pk)
        if operation.token != self.operation.token:
            raise self._taken_over()
        self.operation = operation
        if operation.finished_at is None:
            self.write(lease_owner=me(), lease_expires_at=lease_until(self._clock.now()))

    def begin(self, step: str, *, interrupts: bool = False) -> None:
        """Record a step before it is done, and whether the customer is cut off from here on."""
        self.write(steps=self._begun(step, self.operation.steps), interrupts=interrupts)

    def end(self, step: str, detail: str = "", *, begins: str = "", **columns: Any) -> None:
        """Record that the step under way is done, and in the same statement which one `begins`.

        `columns` of the row are written along with it.
        """
        closed = {"status": "done", "finished_at": self._time(), "detail": detail[:LONGEST_DETAIL]}
        steps = [
            {**s, **closed} if s["name"] == step and s["status"] == "running" else s
            for s in self.operation.steps
        ]
        self.write(tries=0, steps=self._begun(begins, steps) if begins else steps, **columns)

    def _begun(self, step: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        others = [s for s in steps if s["name"] != step or s["status"] != "running"]
        entry = {"name": step, "status": "running", "started_at": self._time(), "finished_at": None}
        return [*others, {**entry, "detail": ""}]

    def fail(self, step: str, detail: str, *, refused: bool) -> None:
        """Record that a step failed, in one entry however often; `refused` says that it is for good."""
        own = [s for s in self.operation.steps if s["name"] == step and s["status"] != "done"]
        before = [s for s in own if s["status"] == "failed"]
        failures = _times(before) + 1
        closed = {
            "status": "failed",
            "finished_at": self._time(),
            "detail": detail[:LONGEST_DETAIL] + (f" ({_ordinal(failures)} try)" if failures > 1 else ""),
            "failures": failures,
            "refusals": sum(s.get("refusals", 0) for s in before) + refused,
        }
        first = own[0] if own else {"name": step, "started_at": self._time()}
        others = [s for s in self.operation.steps if s not in own]
        self.write(steps=[*others, {**first, **closed}])

    def remember(self, **facts: Any) -> None:
        """Keep facts a later step, or the process that takes over, needs."""
        self.write(facts={**self.operation.facts, **facts})

    @property
    def step_under_way(self) -> str:
        """The name of the step that was begun last."""
        return str(self.operation.steps[-1]["name"]) if self.operation.steps else ""

    def is_done(self, step: str) -> bool:
        return any(s["name"] == step and s["status"] == "done" for s in self.operation.steps)

    def was_begun(self, step: str) -> bool:
        return any(s["name"] == step for s in self.operation.steps)

    def time_of(self, step: str, which: str) -> datetime:
        """When a step that is there first began (`started_at`) or last ended (`finished_at`)."""
        tries = [s for s in self.operation.steps if s["name"] == step]
        return datetime.fromisoformat(tries[0 if which == "started_at" else -1][which])

    def failures(self) -> int:
        """How often the step that was begun last has failed."""
        last = self.operation.steps[-1]["name"]
        return _times([s for s in self.operation.steps if s["name"] == last and s["status"] == "failed"])

    def refusals(self) -> int:
        """How often it was refused for good."""
        return int(self.operation.steps[-1].get("refusals", 0))

    def release(self, seconds: float, **columns: Any) -> None:
        """Put the operation down; after `seconds` anybody may take it up again.

        A short wait between two tries is part of what cuts the customer off. In a longer one checks count,
        and wherever the way back fails. `columns` of the row are written along with it.
        """
        until = self._clock.now() + timedelta(seconds=seconds)
        goes_on = seconds <= SHORT_WAIT and not self.operation.undoing
        interrupts = self.operation.interrupts and goes_on
        self.write(lease_owner="", lease_expires_at=until, interrupts=interrupts, **columns)

    def close(self, status: str, error: str = "") -> None:
        """End the operation and free the instance. Call it last in the transaction."""
        ended = self._clock.now()
        self.write(status=status, error=error, finished_at=ended, lease_owner="", interrupts=False)
        tell(self.operation, ended)
        tell_of_operation(self.operation, status, ended)
        count_ended(self.operation)

    def check(self) -> None:
        """Raise LeaseLost if the lease is known to be lost."""
        if self._lease.lost.is_set():
            raise self._taken_over()

    def confirm(self) -> None:
        """Have the database say that the operation is ours, with a whole lease ahead. Raises LeaseLost."""
        self.check()
        if not self._mine.update(lease_expires_at=lease_until(self._clock.now())):
            raise self._taken_over()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """A transaction in which nobody can take the operation over, for what its holder writes elsewhere.

        Raises LeaseLost. The operation's row is locked before any other, so holders never wait in a ring; in
        one of these transactions it is locked already.
        """
        if self._is_locked:
            yield
            return
        with transaction.atomic():
            self.check()
            if not self._mine.select_for_update(no_key=True).values_list("pk").first():
                raise self._taken_over()
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def keep_until(self, moment: datetime) -> None:
        """Let others take the operation over after that moment, should its holder hang."""
        self._lease.until = moment

    def heartbeat(self) -> AbstractContextManager[None]:
        """Keep the lease ahead of the clock, however long a step takes."""
        return KEEPER.keeping(self._lease)

    def _taken_over(self) -> LeaseLost:
        return LeaseLost(f"The {self.operation.kind} was taken over by another process.")

    def _time(self) -> str:
        return documents.time(self._clock.now())
