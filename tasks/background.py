"""Threads beside the work of every Celery process, which watch, tell and need no clock but their own."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError
from django.db.models import F

from instances.alerts import outbox
from instances.db.clock import SYSTEM
from instances.db.sessions import SESSIONS
from instances.errors import OutOfReachError
from instances.models import Pulse
from instances.monitoring.disk import DiskReader
from instances.monitoring.events import EventWatch
from instances.monitoring.log_watch import LogWatch
from instances.monitoring.loop import Monitor
from instances.monitoring.outside import Rota
from instances.monitoring.resources import judge_ooms
from instances.monitoring.self_check import SelfCheck
from instances.monitoring.self_rules import Part
from instances.monitoring.usage import UsageReader
from instances.operations import service
from instances.operations.last_words import keep_of_crashes
from tasks.broker.queues import queue_lengths
from tasks.broker.reasons import LOST_BROKER
from tasks.clockwork import Clockwork, follow_up_turn
from tasks.looks import Looks, list_turn
from tasks.outages import SaidOnce, in_words
from tasks.schedule import is_scheduled, sweep_interval

logger = logging.getLogger(__name__)

QUEUES = ("health", "operations")
PATIENCE = 3.0  # seconds a stopping process waits for what a thread has begun
Turn = Callable[[], object]


class BackgroundThreads:
    """Threads that each do their turn once in DOCKMGR_WATCH_INTERVAL, or when they are through with the last.

    They begin together, and from then on one after the other, so that few need a session of the database
    at the same moment. Whatever goes wrong in a turn is one line in the log, and the next turn is a new
    attempt.
    """

    def __init__(self, turns: Mapping[str, Turn], at_end: Iterable[Turn] = ()) -> None:
        self._over, self._at_end = threading.Event(), tuple(at_end)
        self._began = time.monotonic()
        self._threads = [
            threading.Thread(
                target=self._run, args=(name, turn, place / len(turns)), name=f"dockmgr-{name}", daemon=True
            )
            for place, (name, turn) in enumerate(turns.items())
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no new turn, and wait a little for those under way."""
        self._over.set()
        for at_end in self._at_end:
            self._finish(at_end)
        for thread in self._threads:
            thread.join(PATIENCE)

    @staticmethod
    def _finish(at_end: Turn) -> None:
        try:
            with SESSIONS.turn():
                at_end()
        except DatabaseError as error:
            logger.info("What this process watched is not left to others at once: %s", type(error).__name__)

    def _run(self, name: str, turn: Turn, place: float) -> None:
        once = SaidOnce(logger, _is_over)
        while True:
            try:
                with SESSIONS.turn():
                    turn()
            except Exception as error:  # a watcher that ended would be missed by nobody
                once.failed(f"A turn of {name}", error)
            else:
                once.worked()
            passed = time.monotonic() - self._began
            if self._over.wait(until_next(passed, settings.WATCH_INTERVAL, place)):
                return


def until_next(passed: float, interval: float, place: float) -> float:
    """Seconds until the next turn of who has this place (from 0 to 1) in each interval. Pure."""
    return interval - (passed - place * interval) % interval


def _is_over(error: Exception) -> bool:
    """Whether what a turn met is over: most turns find nothing due, and write nothing and publish nothing."""
    try:
        if isinstance(error, DatabaseError):
            with SESSIONS.turn():
                Pulse.objects.update(at=F("at"))
        elif isinstance(error, (OutOfReachError, *LOST_BROKER)):
            queue_lengths(writing=True)
    except Exception as now:
        return in_words(now) != in_words(error)
    return True


_running: tuple[int, BackgroundThreads] | None = None


def start_background(*, engines: bool, queues: Callable[[], Iterable[str]] = tuple) -> None:
    """Start this process's watching, once; `engines` says whether it asks Docker Engines as well.

    The process that asks none is beat, which leaves its own sign of life. A worker does the clockwork,
    and shows that the `queues` it serves at the moment are served. A forked child, which inherits no
    threads, does not watch.
    """
    global _running
    if _running is not None and _running[0] == os.getpid():
        return
    part = None if engines else Part.BEAT
    itself = SelfCheck(SYSTEM.now(), sweep_interval, crowding_queues, part, is_scheduled)
    watch = Monitor(service.OUTSIDE, engines=engines, itself=itself)
    turns: dict[str, Turn] = {"watch": watch.tick, "ask": watch.ask, "deliver": _deliver}
    at_end: list[Turn] = []
    if engines:
        turns |= {"clockwork": Clockwork(queues).turn, "follow-up": follow_up_turn}
        turns["orphans"] = watch.compare
        turns |= _following(at_end) | _readings(at_end)
    rounds = BackgroundThreads(turns, at_end)
    _running = (os.getpid(), rounds)
    rounds.start()
    atexit.register(stop_background)


def _following(at_end: list[Turn]) -> dict[str, Turn]:
    """What is heard from engines as it happens; `at_end` takes what is to be done when this process ends."""
    if not settings.EVENTS:
        return {}
    events = EventWatch(service.OUTSIDE, follow_up_turn)
    turns: dict[str, Turn] = {
        "events": events.turn,
        "orders": events.order,
        "ooms": partial(judge_ooms, service.OUTSIDE),
        "deaths": lambda: keep_of_crashes(events.crashes(), service.OUTSIDE),
    }
    at_end.append(events.stop)
    logs = LogWatch(service.OUTSIDE, events.held)
    turns["logs"] = logs.turn
    at_end.insert(0, logs.stop)
    return turns


def _readings(at_end: list[Turn]) -> dict[str, Turn]:
    """What is asked of engines and addresses again and again, each where its setting says so."""
    turns: dict[str, Turn] = {}
    if settings.LOOK_INTERVAL:
        looks = Looks()
        turns["looks"] = looks.turn
        at_end.append(looks.stop)
    if settings.LIST_INTERVAL:
        turns["lists"] = list_turn
    if settings.USAGE_INTERVAL:
        turns["usage"] = UsageReader(service.OUTSIDE, timedelta(seconds=settings.USAGE_INTERVAL)).turn
    if settings.OUTSIDE_INTERVAL:
        turns["outside"] = Rota(service.OUTSIDE, timedelta(seconds=settings.OUTSIDE_INTERVAL)).turn
    if settings.DISK_INTERVAL:
        turns["disk"] = DiskReader(service.OUTSIDE, timedelta(seconds=settings.DISK_INTERVAL)).turn
    return turns


def stop_background() -> None:
    """End the watching of this process, if it has any."""
    global _running
    if _running is not None and _running[0] == os.getpid():
        _running[1].stop()
        SESSIONS.end()
        _running = None


def _deliver() -> None:
    outbox.deliver(SYSTEM)


def crowding_queues() -> dict[str, int]:
    """How many messages wait in the queues that could grow. Raises OutOfReachError without a broker."""
    lengths = queue_lengths()
    return {queue: lengths[queue] for queue in QUEUES}
