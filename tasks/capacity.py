"""The threads of this worker, and how many of them changes that last minutes may hold."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings


class Threads:
    """How many threads this process works with; a worker says so when it starts."""

    def __init__(self) -> None:
        self._told: int | None = None

    @property
    def number(self) -> int:
        return self._told or int(settings.CELERY_WORKER_CONCURRENCY)

    def use(self, number: int | None) -> None:
        self._told = number


THREADS = Threads()


class Changes:
    """Counts changes under way here, so that threads stay free for healing, and some more for reading."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0

    @contextmanager
    def place(self, *, healing: bool) -> Iterator[bool]:
        """Whether another change may begin; it counts until the end of the block."""
        with self._lock:
            found = self._under_way < (most_healing() if healing else most_changes())
            self._under_way += found
        try:
            yield found
        finally:
            with self._lock:
                self._under_way -= found


def most_healing() -> int:
    """Changes at which no automatic restart begins any more: an eighth of the threads is left for reading."""
    return THREADS.number - THREADS.number // 8


def most_changes() -> int:
    """Changes at which no other begins: a quarter is left for healing and reading, one thread at least."""
    return max(1, min(THREADS.number * 3 // 4, most_healing() - 1))


CHANGES = Changes()
