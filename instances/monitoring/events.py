"""Following engines' events, so that what dies is looked at within a second and not with the next sweep.

One process follows each engine, by a lease; every other one is its standby. An event only asks for a check,
so losing events costs speed and nothing else.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from instances.containers.facts import ContainerEvent
from instances.db.errors import may_pass
from instances.db.locks import lock_in_order, locked
from instances.db.moments import ahead
from instances.db.sessions import SESSIONS
from instances.engine.pool import EngineAddress, Engines
from instances.engine.port import EventStream
from instances.errors import DockmgrError
from instances.incidents.hosts import watch_all
from instances.models import Health, Host, HostWatch, Instance, Operation
from instances.monitoring.deaths import Crash, Deaths, judge_deaths
from instances.monitoring.resources import note_ooms
from instances.outside import Outside, engine_address

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=20)
RENEW_EVERY = timedelta(seconds=5)
CATCH_UP = timedelta(seconds=60)  # of what happened while nobody followed; engines' clocks may differ
GATHER_SECONDS = 0.1  # an engine that stops tells of all its containers at once
OOM = "oom"  # an engine's word for a process that the kernel killed for want of memory
RETRY_SECONDS = 5.0  # until an engine that does not tell is asked again
PATIENCE = 3.0  # seconds a thread is waited for that was told to end
AGAIN_SECONDS = 1.0  # until a stream that has ended is opened anew


def claim(me: str, now: datetime) -> list[Host]:
    """Take or keep the hosts whose events nobody else follows; returns all that this process follows."""
    watch_all()
    free = Q(events_until=None) | Q(events_until__lte=now) | ahead("events_until", now + LEASE)
    with transaction.atomic():
        mine = locked(HostWatch.objects.filter(free | Q(events_by=me)), skip_locked=True).order_by("pk")
        held = [watch.pk for watch in mine]
        HostWatch.objects.filter(pk__in=held).update(events_by=me, events_until=now + LEASE)
    return list(Host.objects.filter(pk__in=held))


def release(me: str) -> None:
    """Let another process follow at once what this one did."""
    with transaction.atomic():
        mine = lock_in_order(HostWatch.objects.filter(events_by=me))
        HostWatch.objects.filter(pk__in=mine).update(events_by="", events_until=None)


def look_soon(container_ids: Collection[str], now: datetime) -> int:
    """Have the instances with these containers checked now; returns how many.

    One that an operation is changing is left out: the operation looks itself.
    """
    changing = Operation.objects.filter(customer_id=OuterRef("instance__customer_id"), finished_at=None)
    own = Instance.objects.active().filter(container_id__in=container_ids)
    rows = Health.objects.filter(Q(next_check_at=None) | Q(next_check_at__gt=now), instance__in=own)
    with transaction.atomic():
        due = lock_in_order(rows.exclude(Exists(changing)))
        return Health.objects.filter(pk__in=due).update(next_check_at=now)


class Noticed:
    """Containers something happened to, until somebody takes them.

    `ooms` are those of which the kernel killed a process, with when, in nanoseconds of the engine's clock;
    `deaths` those that ended.
    """

    def __init__(self) -> None:
        self._lock, self._some = threading.Lock(), threading.Event()
        self._ids: set[str] = set()
        self._ooms: dict[str, int] = {}
        self.deaths = Deaths()

    def add(self, event: ContainerEvent) -> None:
        self.deaths.add(event)
        with self._lock:
            self._ids.add(event.container_id)
            if event.action == OOM:
                self._ooms[event.container_id] = event.at
            self._some.set()

    def wait(self) -> bool:
        """Until something can be taken, or somebody is to `wake`; returns whether something can."""
        self._some.wait()
        return bool(self._ids)

    def wake(self) -> None:
        self._some.set()

    def take_ooms(self) -> dict[str, int]:
        with self._lock:
            ooms, self._ooms = self._ooms, {}
        return ooms

    def give_back_ooms(self, ooms: Mapping[str, int]) -> None:
        """These were taken and could not be written down; they are taken again with what comes next."""
        with self._lock:
            self._ooms = {**ooms, **self._ooms}

    def take(self) -> set[str]:
        with self._lock:
            ids, self._ids = self._ids, set()
            self._some.clear()
        return ids


class Follower:
    """A thread that hands on one engine's events until it is stopped, whatever becomes of the engine."""

    def __init__(self, address: EngineAddress, engines: Engines, noticed: Noticed, now: datetime) -> None:
        self.address = address
        self._engines, self._noticed = engines, noticed
        self.hears = False
        self._over = threading.Event()
        self._since = int((now - CATCH_UP).timestamp() * 1e9)
        self._close: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="engine-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        close = self._close
        if close is not None:
            close()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        silent = False
        while not self._over.is_set():
            try:
                self.follow()
                silent = False
            except DockmgrError as error:
                if not silent:
                    logger.info("No events of the engine at %s: %s", self.address.url, error)
                silent = True
            except Exception:  # a thread that ended would be missed by nobody
                logger.exception("Following the events of the engine at %s failed.", self.address.url)
                self.hears, silent = False, True
            self._over.wait(RETRY_SECONDS if silent else AGAIN_SECONDS)

    def follow(self) -> None:
        """Hand on events until the stream ends or breaks off, from the last one known on.

        It `hears` while the stream is open, and after its end until that can't be opened anew. Raises
        DockmgrError where it can't be opened.
        """
        try:
            opened = self._engines.at(self.address).events(self._since)
        except DockmgrError:
            self.hears = False
            raise
        with closing(opened) as stream:
            self._close, self.hears = stream.close, True
            if not self._over.is_set():
                self._hand_on(stream)

    def _hand_on(self, stream: EventStream) -> None:
        try:
            for event in stream:
                self._since = max(self._since, event.at + 1)
                self._noticed.add(event)
        except DockmgrError:  # told when it can't be opened anew
            self.hears = False


class EventWatch:
    """Follows the engines that this process has the lease of, and has checks made for what happens.

    `turn` is to be called again and again; `order` runs until `stop`, in a thread of its own.
    `publish` makes the checks that are due.
    """

    def __init__(self, outside: Outside, publish: Callable[[], object]) -> None:
        self._outside, self._publish = outside, publish
        self._me = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._noticed = Noticed()
        self._followers: dict[int, Follower] = {}
        self._claimed_at: datetime | None = None
        self._held: dict[int, EngineAddress] = {}
        self._over = threading.Event()

    def turn(self) -> None:
        """Renew the leases, follow what was gained and let go what was lost."""
        now = self._outside.clock.now()
        if self._over.is_set() or (self._claimed_at and abs(now - self._claimed_at) < RENEW_EVERY):
            return
        held = {host.pk: engine_address(host) for host in claim(self._me, now)}
        self._claimed_at, self._held = now, held
        for pk, follower in list(self._followers.items()):
            if held.get(pk) != follower.address:
                self._followers.pop(pk).stop()
        for pk, address in held.items():
            if pk not in self._followers:
                follower = Follower(address, self._outside.engines, self._noticed, now)
                follower.start()
                self._followers[pk] = follower  # one whose thread could not start is made anew
        hearing = [pk for pk, follower in self._followers.items() if follower.hears]
        HostWatch.objects.filter(pk__in=hearing).update(events_heard_at=now)

    def held(self) -> dict[int, EngineAddress]:
        """The engines it follows at the moment, by host."""
        return self._held

    def order(self) -> None:
        """Have what something happened to checked, as it happens."""
        while not self._over.is_set():
            if self._noticed.wait():
                self._over.wait(GATHER_SECONDS)
                with SESSIONS.turn():
                    self.order_checks()

    def order_checks(self) -> None:
        """Have what something happened to since the last time checked."""
        ooms = self._noticed.take_ooms()
        try:
            if ooms:
                note_ooms(ooms, self._outside.clock.now())
        except DatabaseFailure as error:
            if may_pass(error):  # nobody else would find out
                self._noticed.give_back_ooms(ooms)
            raise
        if look_soon(self._noticed.take(), self._outside.clock.now()):
            self._publish()

    def crashes(self) -> Iterator[Crash]:
        """Deaths since the last time that engines made good, as they are written down."""
        return judge_deaths(self._noticed.deaths, self._outside)

    def stop(self) -> None:
        """Follow nothing any more, and leave it to others."""
        self._over.set()
        self._noticed.wake()
        self._held = {}
        for follower in self._followers.values():
            follower.stop()
        self._followers.clear()
        release(self._me)
