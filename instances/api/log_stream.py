"""Following a log by server-sent events: workers read it again and again, each time from where it stood."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest, StreamingHttpResponse

from instances.api import forms, streams
from instances.api.call import call_of
from instances.api.reader import has_gone
from instances.db.clock import SYSTEM
from instances.documents import shapes
from instances.operations.read_logs import MOST_LINES
from tasks.broker.rpc import call
from tasks.operations import logs

WAIT = 30.0  # seconds a worker has for one reading
PAUSE = 2.0  # seconds between readings
ALL = 1_000_000  # a reader who names a time has read the lines of that time
TIMED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ?(.*)", re.DOTALL)


@dataclass
class Position:
    """How far a log was read: the time of the last line, and how many lines of that very time."""

    time: str = ""
    lines: int = 0

    def has_lost(self, read: shapes.Log, most: int) -> bool:
        """Whether there were more lines behind it than were read: `most` of them were asked for."""
        lines = read["lines"]
        is_cut = len(lines) >= most or read["truncated"]
        first = TIMED.fullmatch(lines[0]) if lines and is_cut and self.time else None
        return first is not None and first[1] > self.time

    def fresh(self, timed: list[str]) -> Iterator[tuple[str, str]]:
        """Time and text of the lines that were not read yet; moves the position behind them.

        Behind the last line that was read all are new, whatever their time: a clock may be set back.
        """
        lines = list(self._parted(timed))
        known = [number for number, (time, _) in enumerate(lines) if time == self.time][: self.lines]
        behind = lines[known[-1] + 1 :] if known else [each for each in lines if each[0] >= self.time]
        for time, text in behind:
            self.lines = self.lines + 1 if time == self.time else 1
            self.time = time
            yield time, text

    def _parted(self, timed: list[str]) -> Iterator[tuple[str, str]]:
        time = self.time
        for line in timed:
            match = TIMED.fullmatch(line)
            time, text = match.groups() if match else (time, line)
            yield time, text


def response(
    request: HttpRequest, customer_id: str, lines: int, since: str | None, after: str | None
) -> StreamingHttpResponse:
    """The stream, from the last `lines` since `since`, or from all behind the line whose time is `after`.

    Raises what the first reading raises, and ProblemError when too many are open.
    """
    caller, now = call_of(request).caller, call_of(request).now
    begin = after or (forms.since(since, now).isoformat() if since else None)
    most = MOST_LINES if after else lines
    streams.PLACES.take(caller.pk)
    try:
        first = _read(request, customer_id, most, begin)
    except BaseException:
        streams.PLACES.give_back(caller.pk)
        raise
    return streams.response(request, _Log(request, customer_id, begin, after).events(first, most))


class _Log:
    """A log that is followed by one caller."""

    def __init__(self, request: HttpRequest, customer_id: str, begin: str | None, after: str | None) -> None:
        self._request, self._customer_id, self._begin = request, customer_id, begin
        self._position = Position(after, ALL) if after else Position()

    def events(self, first: shapes.Log, most: int) -> Generator[bytes, None, None]:
        return streams.followed(self._request, self._lines(first, most), self._more, PAUSE)

    def _more(self) -> Iterator[bytes]:
        streams.caller_now(call_of(self._request), SYSTEM.now())
        behind = self._position.time or self._begin
        yield from self._lines(_read(self._request, self._customer_id, MOST_LINES, behind), MOST_LINES)
        yield b": reading\n\n"  # so that a caller who has gone is noticed

    def _lines(self, read: shapes.Log, most: int) -> Iterator[bytes]:
        if self._position.has_lost(read, most):
            yield streams.event("{}", "missed")
        for time, text in self._position.fresh(read["lines"]):
            yield streams.event(json.dumps(text), identity=time)


def _read(request: HttpRequest, customer_id: str, lines: int, since: str | None) -> shapes.Log:
    wanted = {"customer_id": customer_id, "lines": lines, "since": since, "timestamps": True}
    kept: shapes.Log = call(logs, WAIT, partial(has_gone, request), **wanted)
    return kept
