"""A host that answers late must not hold the threads that look at the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tasks.capacity import THREADS
from tasks.outages import SaidOnce

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class _Lane(Generic[T]):
    """What goes on at one host: threads at work, and what waits for one of them by its key."""

    busy: int = 0
    waiting: dict[Hashable, T] = field(default_factory=dict)


class HostLanes(Generic[T]):
    """Lets a quarter of a worker's threads be at one host, and keeps a quarter for hosts nobody is at.

    An item that finds no place holds no thread: it waits for one that is at its host already. It is lost with
    the process, as a message that was taken is. `join` makes one item of a waiting one and a new one of the
    same key.
    """

    def __init__(self, do: Callable[[T], None], join: Callable[[T, T], T]) -> None:
        self._do, self._join = do, join
        self._once = SaidOnce(logger)
        self._lanes: dict[Hashable, _Lane[T]] = {}
        self._busy = 0
        self._lock = threading.Lock()

    def run(self, host: Hashable, key: Hashable, item: T) -> bool:
        """Do it now, and then what has come to wait at this host; False when it waits itself."""
        if not self._taken(host, key, item):
            return False
        try:
            self._do(item)
        finally:
            self._work_off(host)
        return True

    def _taken(self, host: Hashable, key: Hashable, item: T) -> bool:
        with self._lock:
            lane = self._lanes.setdefault(host, _Lane())
            if not self._has_place(lane):
                earlier = lane.waiting.get(key)
                lane.waiting[key] = item if earlier is None else self._join(earlier, item)
                return False
            lane.busy += 1
            self._busy += 1
            return True

    def _has_place(self, lane: _Lane[T]) -> bool:
        share = max(1, THREADS.number // 4)
        return lane.busy == 0 or (lane.busy < share and self._busy < THREADS.number - share)

    def _work_off(self, host: Hashable) -> None:
        while (item := self._next(host)) is not None:
            try:
                self._do(item)
            except Exception as error:  # it belongs to a message that was taken long ago
                self._once.failed("A check that had to wait", error)
            else:
                self._once.worked()

    def _next(self, host: Hashable) -> T | None:
        with self._lock:
            lane = self._lanes[host]
            if lane.waiting:
                return lane.waiting.pop(next(iter(lane.waiting)))
            lane.busy -= 1
            self._busy -= 1
            if not lane.busy:
                del self._lanes[host]
            return None
