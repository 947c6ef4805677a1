"""What happens to incidents and operations, read once for all streams of this process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Min, QuerySet

from instances.access.reach import Reach
from instances.documents import operation as operation_document
from instances.documents import time
from instances.incidents import documents as incident_documents
from instances.lib.clock import is_due
from instances.lib.sequence import settled
from instances.models import FeedEvent, Incident, Instance, Operation
from instances.models.instance import SECRETS

EVERY = timedelta(seconds=1)
PAGE = 500
KEPT = 2000  # events in memory; who is further behind reads the database
BEFORE = timedelta(seconds=30)  # what was committed so late is still told
GIVEN_UP = timedelta(seconds=10)  # after which an id that does not come was rolled back
_OF = ("incident__instance__", "operation__instance__")


@dataclass(frozen=True)
class Happened:
    """One event: its place, and its document; of an operation the row, which not everybody sees in full."""

    id: int
    kind: str
    head: dict[str, Any]
    incident: Any
    operation: Operation | None
    customer_id: str
    plan: str
    host: str

    def is_within(self, reach: Reach) -> bool:
        """Whether a token of this reach sees it."""
        return reach.covers(self.customer_id, self.plan, self.host)

    def document(self, *, in_full: bool) -> dict[str, Any]:
        """EVENT; what it is about as it is now, `in_full` for admins."""
        if self.operation is None:
            return {**self.head, "incident": self.incident}
        return {**self.head, "operation": operation_document(self.operation, in_full=in_full)}


class Feed:
    """Events in order, from the database at most once in EVERY however many streams ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._forget()

    def _forget(self) -> None:
        self._position: int | None = None
        self._floor = 0
        self._recent: deque[Happened] = deque(maxlen=KEPT)
        self._read_at: datetime | None = None
        self._gap: tuple[int, datetime] | None = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """For as long as a stream is open; the first one begins with what is new."""
        with self._lock:
            if not self._users:
                self._forget()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1

    def after(self, position: int | None, now: datetime) -> tuple[list[Happened], int]:
        """What has happened behind a position, and the position behind that; without one, what comes now."""
        with self._lock:
            if is_due(self._read_at, EVERY, now):
                self._read(now)
                self._read_at = now
            end = self._position or 0
            if position is None:
                return [], end
            if position >= self._floor:
                return [each for each in self._recent if each.id > position], max(position, end)
        rows = list(_rows().filter(pk__gt=position, pk__lte=end).order_by("pk")[:PAGE])
        return _loaded(rows, now), rows[-1].pk if len(rows) == PAGE else end

    def _read(self, now: datetime) -> None:
        if self._position is None:
            begins = _beginning(now)
            if begins is None:
                return
            self._position = self._floor = begins
        while True:
            rows = list(_rows().filter(pk__gt=self._position).order_by("pk")[:PAGE])
            ready = rows[: self._settled([row.pk for row in rows], now)]
            for happened in _loaded(ready, now):
                if len(self._recent) == KEPT:
                    self._floor = self._recent[0].id
                self._recent.append(happened)
            if ready:
                self._position = ready[-1].pk
            if len(ready) < PAGE:
                return

    def _settled(self, ids: Sequence[int], now: datetime) -> int:
        position = self._position or 0
        count = settled(position, ids)
        if count == len(ids):
            self._gap = None
        elif self._gap is None or self._gap[0] != ids[count]:
            self._gap = (ids[count], now)
        elif now - self._gap[1] >= GIVEN_UP:
            return settled(position, ids, ids[count])
        return count


def has_lost(position: int) -> bool:
    """Whether events behind this position are not kept any more. The newest is always kept."""
    oldest = FeedEvent.objects.aggregate(first=Min("pk"))["first"]
    return oldest is not None and position < oldest - 1


def is_ahead(position: int) -> bool:
    """Whether no event is as far as this position: the database was set back to a time before it."""
    newest = FeedEvent.objects.aggregate(last=Max("pk"))["last"]
    return position > (newest or 0)


def _beginning(now: datetime) -> int | None:
    """Behind all that was committed long ago; None where nothing is there: then any id may be the first."""
    known: int | None = FeedEvent.objects.filter(at__lt=now - BEFORE).aggregate(last=Max("pk"))["last"]
    if known is not None:
        return known
    first: int | None = FeedEvent.objects.aggregate(first=Min("pk"))["first"]
    return None if first is None else first - 1


def _rows() -> QuerySet[FeedEvent]:
    joined = [f"{of}{name}" for of in _OF for name in ("plan", "host")]
    secrets = [f"{of}{name}" for of in _OF for name in SECRETS]
    return FeedEvent.objects.select_related("incident__host", *joined).defer(*secrets)


def _loaded(rows: Sequence[FeedEvent], now: datetime) -> list[Happened]:
    ids = {row.incident_id for row in rows if row.incident_id}
    found = Incident.objects.filter(pk__in=ids)
    incidents = {each["id"]: each for each in incident_documents.incidents(found, now)} if ids else {}
    return [_happened(row, incidents, now) for row in rows]


def _happened(row: FeedEvent, incidents: dict[int, Any], now: datetime) -> Happened:
    about: Any = row.operation or row.incident
    instance: Instance | None = about.instance
    return Happened(
        id=row.pk,
        kind="operation" if row.operation else "incident",
        head={"id": row.pk, "at": time(min(row.at, now)), "change": row.change, "text": row.text or None},
        incident=incidents.get(row.incident_id or 0),
        operation=row.operation,
        customer_id=about.customer_id,
        plan=instance.plan.name if instance else "",
        host=instance.host.name if instance else "",
    )
