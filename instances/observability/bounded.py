"""Asking what may never answer, without waiting for it for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

A = TypeVar("A")


class Questions(Generic[A]):
    """Named questions, asked side by side on threads of their own.

    A question that is still out is not asked again but waited for. So at most one thread for each question
    hangs on what never answers, however often somebody asks.
    """

    def __init__(self, questions: Mapping[str, Callable[[], A]]) -> None:
        self._questions = questions
        self._out: dict[str, Future[A]] = {}
        self._lock = threading.Lock()

    def ask(self, seconds: float) -> dict[str, A]:
        """The answers that came within `seconds`. What a question raises is raised here."""
        with self._lock:
            futures = {name: self._future(name) for name in self._questions}
        wait(futures.values(), timeout=seconds)
        return {name: future.result() for name, future in futures.items() if future.done()}

    def _future(self, name: str) -> Future[A]:
        earlier = self._out.get(name)
        if earlier is not None and not earlier.done():
            return earlier
        future: Future[A] = Future()
        threading.Thread(target=self._run, args=(name, future), name=f"ask-{name}", daemon=True).start()
        self._out[name] = future  # only now: nobody would ever answer one whose thread did not start
        return future

    def _run(self, name: str, future: Future[A]) -> None:
        try:
            future.set_result(self._questions[name]())
        except Exception as error:  # the caller gets it, whatever it is
            future.set_exception(error)
