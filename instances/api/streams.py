"""Answers that go on: server-sent events, a few of them at once in each process."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.http import StreamingHttpResponse

from instances.access import tokens
from instances.api.call import Call
from instances.api.problems import ProblemError, of_error
from instances.errors import DockmgrError
from instances.models import ApiToken

LASTS = timedelta(minutes=10)
# Each stream holds a thread of the web process; some must be left for everything else.
STREAMS = threading.BoundedSemaphore(4)
TROUBLE = (ProblemError, DockmgrError, DatabaseFailure)


def take_place() -> None:
    """Take one of the places of this process. Raises ProblemError when there is none left."""
    if not STREAMS.acquire(blocking=False):
        raise ProblemError(503, "Too many streams are open; try again later.")


def give_place_back() -> None:
    STREAMS.release()


def response(events: Generator[bytes, None, None]) -> StreamingHttpResponse:
    """The answer of whoever has taken a place, which is given back when it ends."""
    answer = StreamingHttpResponse(_Stream(events), content_type="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


class _Stream:
    """The events; `close` is called by the server however the answer ends."""

    def __init__(self, events: Generator[bytes, None, None]) -> None:
        self._events = events
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        self._events.close()
        if self._open:
            self._open = False
            give_place_back()


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
