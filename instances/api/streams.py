"""Answers that go on: server-sent events, a few of them at once in each process."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.http import HttpRequest, StreamingHttpResponse

from instances.access import tokens
from instances.api import reader
from instances.api.call import Call, call_of
from instances.api.problems import ProblemError, of_error
from instances.api.threads import HELD, PATIENCE
from instances.db.clock import SYSTEM
from instances.errors import DockmgrError
from instances.lib.ending import ENDING
from instances.models import ApiToken

LASTS = timedelta(minutes=10)
TROUBLE = (ProblemError, DockmgrError, DatabaseFailure)


class Places:
    """How many streams a process has at once: each holds one of its threads, and some must be left.

    One token has `of_one` of them at most, so that it leaves one to another.
    """

    def __init__(self, in_all: int, of_one: int) -> None:
        self._in_all, self._of_one = in_all, of_one
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, token_id: int) -> None:
        """Take a place. Raises ProblemError when there is none left for that token."""
        if not HELD.take(PATIENCE):
            raise ProblemError(503, "Too many callers wait for an answer; try again later.")
        try:
            self._take(token_id)
        except ProblemError:
            HELD.give_back()
            raise

    def _take(self, token_id: int) -> None:
        with self._lock:
            if self._taken.total() >= self._in_all:
                raise ProblemError(503, "Too many streams are open; try again later.")
            if self._taken[token_id] >= self._of_one:
                raise ProblemError(503, f"This token has {self._of_one} streams open; end one of them first.")
            self._taken[token_id] += 1

    def give_back(self, token_id: int) -> None:
        """Leave a place to whoever asks next."""
        with self._lock:
            self._taken[token_id] -= 1
            self._taken += Counter()  # whoever has none left is forgotten
        HELD.give_back()

    def taken(self) -> int:
        """How many streams are open."""
        return self._taken.total()


PLACES = Places(in_all=4, of_one=3)


def response(request: HttpRequest, events: Generator[bytes, None, None]) -> StreamingHttpResponse:
    """The answer of whoever has taken a place, which is given back when it ends."""
    stream = _Stream(call_of(request).caller.pk, events)
    answer = StreamingHttpResponse(stream, content_type="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


class _Stream:
    """The events; `close` is called by the server however the answer ends."""

    def __init__(self, token_id: int, events: Generator[bytes, None, None]) -> None:
        self._token_id, self._events = token_id, events
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        self._events.close()
        if self._open:
            self._open = False
            PLACES.give_back(self._token_id)


def followed(
    request: HttpRequest, first: Iterable[bytes], more: Callable[[], Iterable[bytes]], pause: float
) -> Generator[bytes, None, None]:
    """`first`, then what there is `more` of after each pause (seconds), for as long as LASTS says.

    The last event says that it is over, or what went wrong. Where the reader has gone there is none.
    """
    until = SYSTEM.now() + LASTS
    try:
        yield from first
        while SYSTEM.now() < until and not ENDING.is_set():
            SYSTEM.sleep(pause)
            if reader.has_gone(request):
                return
            yield from more()
    except TROUBLE as error:
        yield problem(error)
        return
    yield event("{}", "end")


def caller_now(call: Call, now: datetime) -> ApiToken:
    """The caller's token as it is now. Raises ProblemError when it has ended meanwhile."""
    token = ApiToken.objects.filter(pk=call.caller.pk).first()
    if token is None or not tokens.in_force(token, now):
        raise ProblemError(401, "The token has ended.")
    return token


def event(data: str, kind: str | None = None, identity: str | None = None) -> bytes:
    """One event; `identity` is what `Last-Event-ID` names."""
    named = f"event: {kind}\n" if kind else ""
    placed = f"id: {identity}\n" if identity else ""
    return f"{named}{placed}data: {data}\n\n".encode()


def problem(error: Exception) -> bytes:
    """The last event of a stream that ends with one of TROUBLE."""
    found = error if isinstance(error, ProblemError) else of_error(error)  # type: ignore[arg-type]
    return event(json.dumps(found.document()), "error")
