"""Following a log by server-sent events: workers read it again and again, each time from where it stood."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import Error as DatabaseFailure
from django.http import StreamingHttpResponse

from instances.access import tokens
from instances.api.call import Call
from instances.api.problems import ProblemError, of_error
from instances.db.clock import SYSTEM
from instances.errors import DockmgrError
from instances.models import ApiToken
from tasks.broker.rpc import call
from tasks.operations import logs

WAIT = 30.0  # seconds a worker has for one reading
PAUSE = 2.0  # seconds between readings
LASTS = timedelta(minutes=10)
LINES_AT_ONCE = 2000
ALL = 1_000_000  # a reader who names a time has read the lines of that time
# Each stream holds a thread of the web process; some must be left for everything else.
STREAMS = threading.BoundedSemaphore(4)
TIMED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ?(.*)", re.DOTALL)


@dataclass
class Position:
    """How far a log was read: the time of the last line, and how many lines of that very time."""

    time: str = ""
    lines: int = 0

    def fresh(self, timed: list[str]) -> Iterator[tuple[str, str]]:
        """Time and text of the lines that were not read yet; moves the position behind them."""
        known = self.lines
        for line in timed:
            match = TIMED.fullmatch(line)
            time, text = match.groups() if match else (self.time, line)
            if time == self.time and known:
                known -= 1
            elif time >= self.time:
                self.lines = self.lines + 1 if time == self.time else 1
                self.time = time
                yield time, text


def response(
    call: Call, customer_id: str, lines: int, since: str | None, after: str | None
) -> StreamingHttpResponse:
    """The stream, from `since` or behind the line whose time is `after`.

    Raises what the first reading raises, and ProblemError when too many are open.
    """
    if not STREAMS.acquire(blocking=False):
        raise ProblemError(503, "Too many logs are being followed; try again later.")
    try:
        first = _read(customer_id, lines, after or since)
    except BaseException:
        STREAMS.release()
        raise
    answer = StreamingHttpResponse(_Stream(call, customer_id, first, after), content_type="text/event-stream")
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


class _Stream:
    """The events; `close` is called by the server however the answer ends."""

    def __init__(self, call: Call, customer_id: str, first: list[str], after: str | None) -> None:
        self._call, self._customer_id = call, customer_id
        self._position = Position(after, ALL) if after else Position()
        self._until = call.now + LASTS
        self._events = self._all(first)
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        self._events.close()
        if self._open:
            self._open = False
            STREAMS.release()

    def _all(self, first: list[str]) -> Generator[bytes, None, None]:
        yield from self._lines(first)
        while SYSTEM.now() < self._until:
            SYSTEM.sleep(PAUSE)
            try:
                yield from self._more()
            except (ProblemError, DockmgrError, DatabaseFailure) as error:
                problem = error if isinstance(error, ProblemError) else of_error(error)
                yield _event(json.dumps(problem.document()), "error")
                return
        yield _event("{}", "end")

    def _more(self) -> Iterator[bytes]:
        token = ApiToken.objects.filter(pk=self._call.caller.pk).first()
        if token is None or not tokens.in_force(token, SYSTEM.now()):
            raise ProblemError(401, "The token has ended.")
        yield from self._lines(_read(self._customer_id, LINES_AT_ONCE, self._position.time or None))
        yield b": reading\n\n"  # so that a caller who has gone is noticed

    def _lines(self, timed: list[str]) -> Iterator[bytes]:
        for time, text in self._position.fresh(timed):
            yield _event(json.dumps(text), identity=time)


def _read(customer_id: str, lines: int, since: str | None) -> list[str]:
    kept = call(logs, WAIT, customer_id=customer_id, lines=lines, since=since, timestamps=True)
    return list(kept["lines"])


def _event(data: str, kind: str | None = None, identity: str | None = None) -> bytes:
    named = f"event: {kind}\n" if kind else ""
    placed = f"id: {identity}\n" if identity else ""
    return f"{named}{placed}data: {data}\n\n".encode()
