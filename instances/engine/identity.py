"""An engine by who it is: on another one that answers at its address nothing is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from instances.engine.port import Engine
from instances.errors import AnotherEngine

TRUSTED_FOR = 1.0  # seconds; engines don't take each other's place faster


class KnownEngine:
    """Passes every verb of `Engine` on, after seeing that it is the engine of this id.

    Raises AnotherEngine instead of calling an engine of another id. An engine that has none, as
    some that only speak Docker's API, can't be told from others. Safe to share between threads.
    """

    def __init__(self, engine: Engine, engine_id: str, seconds: Callable[[], float]) -> None:
        self._engine, self._id, self._seconds = engine, engine_id, seconds
        self._trusted_until = float("-inf")

    def __getattr__(self, verb: str) -> Any:
        call = getattr(self._engine, verb)
        return call if verb == "close" else self._guarded(call)

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if self._seconds() >= self._trusted_until:
                self._recognise()
            return call(*args, **kwargs)

        return guarded

    def _recognise(self) -> None:
        found = self._engine.facts().id
        if found and found != self._id:
            raise AnotherEngine(another(self._id, found))
        self._trusted_until = self._seconds() + TRUSTED_FOR


def another(known: str, found: str) -> str:
    """What there is to say when an engine is not the one a host is known by."""
    return (
        f"Another engine answers at the host's address, {_short(found)} in the place of {_short(known)}: "
        "nothing is done there until the known one is back or the new one is accepted with accept_engine."
    )


def _short(engine_id: str) -> str:
    return engine_id if len(engine_id) <= 14 else f"{engine_id[:12]}…"
