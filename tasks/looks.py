"""Looks between sweeps: the same checks, published by whichever process takes the round or the list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from msgspec.structs import replace

from instances.checks.check_requests import CheckRequest, requests_in_turn
from instances.checks.dark_hosts import plan_checks
from instances.checks.lists import odd_ones, take_hosts
from instances.checks.looks import at_once, begin_round, between_sweeps, rhythm
from instances.db.clock import SYSTEM
from instances.operations import service
from tasks.broker.connection import require_broker
from tasks.broker.queues import queue_lengths
from tasks.checks import publish, write_down_unseen
from tasks.schedule import sweep_interval

PAUSE = 1.0  # seconds between two portions of a round


def waiting_checks() -> int:
    """How many checks wait for a worker. Raises OutOfReachError without a broker."""
    return queue_lengths()["health"]


class Looks:
    """Looks at everybody, so that who hangs is found within DOCKMGR_LOOK_INTERVAL.

    `turn` is to be called again and again.

    A round is published no faster than workers take it. What is left of it when the next one is due is
    dropped.
    """

    def __init__(self, waiting: Callable[[], int] = waiting_checks) -> None:
        self._waiting = waiting
        self._over = threading.Event()

    def stop(self) -> None:
        """Publish no more."""
        self._over.set()

    def turn(self) -> None:
        """Make the round that is due, if one is and nobody else makes it. Takes half an interval."""
        now, within = SYSTEM.now(), timedelta(seconds=settings.LOOK_INTERVAL)
        if not within:
            return
        require_broker()
        every = rhythm(within, settings.PROBE_TIMEOUT)
        if begin_round(now, every) and sweep_interval() > settings.LOOK_INTERVAL:
            self._make_round(now, every)

    def _make_round(self, now: datetime, every: timedelta) -> None:
        plan = plan_checks(between_sweeps(now, every))
        publish(plan.leads, every)
        write_down_unseen(plan)
        portion, end = at_once(len(plan.usual), every), now + every
        for requests in requests_in_turn(plan.usual, service.OUTSIDE.engines):
            odd_first = sorted(requests, key=lambda request: request.listed == "running")
            for first in range(0, len(odd_first), portion):
                if not self._has_room(portion, end):
                    return
                publish(_looks(odd_first[first : first + portion]), every)
                if first + portion < len(odd_first):
                    self._over.wait(PAUSE)

    def _has_room(self, portion: int, end: datetime) -> bool:
        """Wait until workers have taken what was published; False when the round's time is over first."""
        while not self._over.is_set() and SYSTEM.now() < end:
            if self._waiting() < portion:
                return True
            self._over.wait(PAUSE)
        return False


def list_turn() -> None:
    """Where events are not heard, have checked what container lists show to be odd."""
    now, every = SYSTEM.now(), timedelta(seconds=settings.LIST_INTERVAL)
    if not every or sweep_interval() <= settings.LIST_INTERVAL:
        return
    hosts = take_hosts(now, every)
    if not hosts:
        return
    require_broker()
    for requests in odd_ones(between_sweeps(now, every, hosts), service.OUTSIDE.engines):
        publish(_looks(requests), every)


def _looks(requests: Sequence[CheckRequest]) -> list[CheckRequest]:
    return [replace(request, look=True) for request in requests]
