"""What services answer that Apprise keeps to itself: when to try again, and refusals inside an answer 200."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any

# Services that answer 200 in any case: where their answer has a code, which is 0 for a message they took.
_CODES: dict[str, tuple[str, ...]] = {
    "dingtalk": ("errcode",),
    "wecombot": ("errcode",),
    "feishu": ("code",),
    "lark": ("code",),
    "synology": ("error", "code"),
    "synologys": ("error", "code"),
}
_MAY_PASS = frozenset({-1, 411, 11232, 45009, 90030, 130101, 410100})  # busy, or asked too often
_VERBS = frozenset({"get", "post", "put", "request"})


@dataclass(frozen=True)
class Answer:
    """One answer of a service. `refusal` is its own code for not taking the message, None where it did."""

    status: int
    retry_after: str | None = None
    refusal: int | None = None

    @property
    def may_pass(self) -> bool:
        return self.refusal in _MAY_PASS


_listener: ContextVar[Callable[[Any], None] | None] = ContextVar("listener", default=None)


def hear(plugin: Any, scheme: str) -> list[Answer]:
    """The answers to what a plugin asks on this thread from now on, as they come."""
    answers: list[Answer] = []
    module: Any = import_module(type(plugin).__module__)
    if hasattr(module, "requests") and not isinstance(module.requests, _Overheard):
        module.requests = _Overheard(module.requests)
    place = _CODES.get(scheme.lower(), ())
    _listener.set(lambda answer: answers.append(_read(answer, place)))
    return answers


class _Overheard:
    """The library `requests` as a plugin uses it: whoever listens on its thread hears each answer."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        return _overheard(found) if name in _VERBS else found


def _overheard(ask: Callable[..., Any]) -> Callable[..., Any]:
    def asked(*given: Any, **named: Any) -> Any:
        answer, listener = ask(*given, **named), _listener.get()
        if listener is not None:
            listener(answer)
        return answer

    return asked


def _read(answer: Any, place: Sequence[str]) -> Answer:
    status = int(answer.status_code)
    refusal = refusal_in(answer.content, place) if place and 200 <= status < 300 else None
    return Answer(status, answer.headers.get("Retry-After"), refusal)


def refusal_in(body: bytes, place: Sequence[str]) -> int | None:
    """The code of a refusal in a service's answer; None where it took the message, or none can be read."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int) and found else None
