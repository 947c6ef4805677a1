"""Threads of the web process that are held for long: some are left for whatever is answered at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from instances.api.problems import ProblemError

SHIPPED = 8  # threads of a process
PATIENCE = 1.0  # seconds somebody waits for others who may be answered soon


class Threads:
    """How many are held. Workers that answer are waited for; where nobody gets an answer, nobody waits."""

    def __init__(self, of: int) -> None:
        self._held, self._taken_at = 0, 0.0
        self._changed = threading.Condition()
        self.fit(of)

    def fit(self, of: int) -> None:
        """Leave a quarter of so many threads, one at least."""
        self.most = of - max(1, of // 4)

    def take(self, patience: float = 0.0) -> bool:
        """Hold one more, within `patience` seconds; whether that is possible."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._is_stuck(), patience)
            if not self._has_room():
                return False
            self._held, self._taken_at = self._held + 1, monotonic()
            return True

    def give_back(self) -> None:
        """Leave one to whoever asks next."""
        with self._changed:
            self._held -= 1
            self._changed.notify()

    def _has_room(self) -> bool:
        return self._held < self.most

    def _is_stuck(self) -> bool:
        return monotonic() - self._taken_at > PATIENCE


HELD = Threads(SHIPPED)


@contextmanager
def held() -> Iterator[None]:
    """While somebody waits for a worker. Raises ProblemError when too many do."""
    if not HELD.take(PATIENCE):
        raise ProblemError(503, "Too many callers wait for an answer of the workers; try again later.")
    try:
        yield
    finally:
        HELD.give_back()
