"""Engines asked beside each other: each answer is there when it comes, and none waits for another one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

K = TypeVar("K")
T = TypeVar("T")
AT_ONCE = 256  # threads, made as they are needed: one that hangs is held until its call's own timeout
SOON = 0.2  # seconds in which an engine that is well has answered


class _Asked(NamedTuple, Generic[K]):
    key: K
    at: float


class EngineAnswers(Generic[K, T]):
    """Calls by keys. One that takes longer than `patience` (seconds) answers None. Calls read no database."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._asked: dict[Future[T], _Asked[K]] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask-engine")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=False)

    def __len__(self) -> int:
        """How many have not answered."""
        return len(self._asked)

    def ask(self, key: K, call: Callable[[], T]) -> None:
        self._asked[self._pool.submit(call)] = _Asked(key, time.monotonic())

    def at_hand(self) -> dict[K, T | None]:
        """What has come by now, without waiting."""
        return self._taken(wait(self._asked, 0).done)

    def following(self) -> dict[K, T | None]:
        """What comes soon, else what is first, else None for those that nobody waits for any longer.

        Those that did not come soon are not waited for again while others come.
        """
        lately = time.monotonic() - SOON
        wait([future for future, asked in self._asked.items() if asked.at > lately], SOON)
        if not (done := wait(self._asked, 0).done):
            first = min((asked.at for asked in self._asked.values()), default=0.0)
            seconds = max(0.0, first + self._patience - time.monotonic())
            left = None if seconds == float("inf") else seconds
            done = wait(self._asked, left, return_when=FIRST_COMPLETED).done
        return self._taken(done)

    def _taken(self, done: set[Future[T]]) -> dict[K, T | None]:
        begun = time.monotonic() - self._patience
        late = {future for future, asked in self._asked.items() if asked.at <= begun} - done
        taken = {self._asked.pop(future).key: future.result() for future in done}
        return taken | {self._asked.pop(future).key: None for future in late}
