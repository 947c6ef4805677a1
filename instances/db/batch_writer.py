"""Group commit: checks that finish at about the same time share one transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)
C = TypeVar("C")
R = TypeVar("R")
Waiting = tuple[C, Future[R] | None]  # an item, and what is told to whoever waits for it


class BatchWriter(Generic[C, R]):
    """Collects items from many threads and hands them to `commit` in batches, on one thread.

    A batch closes when it holds `largest` items, or when `linger` seconds passed. Unless the writer is
    `patient` it closes sooner: as soon as everybody who announced work by `expecting()` has handed it in.
    A batch that fails is committed again one by one, so that one bad item can't take others with it. The
    error goes to whoever submitted the item, and to `failed` where it was handed in. Where the database is
    away, all of the batch get its error at once. Whoever waits for a future sets a limit and then cancels it.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[C]], Sequence[R]],
        *,
        largest: int = 500,
        linger: float = 0.05,
        patient: bool = False,
        failed: Callable[[C, Exception], object] = lambda _item, _error: None,
    ) -> None:
        self._commit = commit
        self._largest = largest
        self._linger = linger
        self._patient = patient
        self._failed = failed
        self._changed = threading.Condition()
        self._waiting: list[Waiting[C, R]] = []
        self._out = 0
        self._thread: threading.Thread | None = None

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Announce an item that is on its way, so that a batch knows whom to wait for."""
        with self._changed:
            self._out += 1
        try:
            yield
        finally:
            with self._changed:
                self._out -= 1
                if self._is_complete():
                    self._changed.notify()

    def submit(self, item: C) -> Future[R]:
        """Hand in an item; the future holds its result once it is committed."""
        future: Future[R] = Future()
        self._add(item, future)
        return future

    def hand_in(self, item: C) -> None:
        """Have an item committed that nobody waits for: a future costs as much as judging a check."""
        self._add(item, None)

    def _add(self, item: C, future: Future[R] | None) -> None:
        with self._changed:
            self._ensure_thread()
            self._waiting.append((item, future))
            if len(self._waiting) == 1 or self._is_complete():
                self._changed.notify()

    def _is_complete(self) -> bool:
        """Whether nothing more is waited for. `_out` counts those whose item is here already as well."""
        waiting = len(self._waiting)
        return waiting >= self._largest or (not self._patient and self._out <= waiting)

    def _ensure_thread(self) -> None:
        """A forked child inherits this object, and a thread that is not alive there."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [waiting for waiting in self._next_batch() if _is_wanted(waiting[1])]
            if batch:
                self._flush(batch)

    def _next_batch(self) -> list[Waiting[C, R]]:
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            until = time.monotonic() + self._linger
            while not self._is_complete():
                if not self._changed.wait(until - time.monotonic()):
                    break
            batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
        return batch

    def _flush(self, batch: list[Waiting[C, R]]) -> None:
        try:
            results = self._attempt([item for item, _ in batch])
        except Exception as error:  # whatever it is belongs to whoever submitted
            if len(batch) == 1 or isinstance(error, OperationalError | InterfaceError):
                for item, future in batch:
                    self._refuse(item, future, error)
                return
            logger.warning("A batch of %d could not be committed; trying one by one.", len(batch))
            for single in batch:
                self._flush([single])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if future is not None:
                future.set_result(result)

    def _refuse(self, item: C, future: Future[R] | None, error: Exception) -> None:
        if future is not None:
            future.set_exception(error)
            return
        try:
            self._failed(item, error)
        except Exception as defect:  # the thread that commits must go on
            logger.error("Telling that an item is lost failed: %s", type(defect).__name__)

    def _attempt(self, items: Sequence[C]) -> Sequence[R]:
        """Commit, on a fresh connection if the one at hand turns out to be broken."""
        try:
            results = self._commit(items)
        except (DatabaseError, InterfaceError):
            connection.close()
            results = self._commit(items)
        if len(results) != len(items):
            raise ValueError(f"{len(items)} items were handed in and {len(results)} results came back.")
        return results


def _is_wanted(future: Future[Any] | None) -> bool:
    return future is None or future.set_running_or_notify_cancel()
