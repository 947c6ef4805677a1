"""Following incidents and operations by server-sent events, from rows that were committed."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta

from django.http import HttpRequest, StreamingHttpResponse

from instances.access.reach import reach_of
from instances.api import streams
from instances.api.call import call_of
from instances.api.event_feed import Feed, has_lost, is_ahead
from instances.db.clock import SYSTEM
from instances.lib.clock import is_due

PAUSE = 1.0  # seconds between two looks at what happened
ALIVE_EVERY = timedelta(seconds=10)
FEED = Feed()


def response(request: HttpRequest, after: int | None) -> StreamingHttpResponse:
    """The stream, from now on or behind the event whose id is `after`.

    Raises ProblemError when too many are open.
    """
    streams.PLACES.take(call_of(request).caller.pk)
    return streams.response(request, _Events(request, after).events())


class _Events:
    """One caller's events."""

    def __init__(self, request: HttpRequest, after: int | None) -> None:
        self._request, self._call, self._position = request, call_of(request), after
        self._reach, self._is_admin = self._call.reach, self._call.is_admin
        self._alive_at: datetime | None = None

    def events(self) -> Generator[bytes, None, None]:
        with FEED.in_use():
            yield from streams.followed(self._request, self._first(), self._more, PAUSE)

    def _first(self) -> Iterator[bytes]:
        if self._has_missed():
            yield streams.event("{}", "missed")
        yield from self._more()

    def _has_missed(self) -> bool:
        """Whether events were missed; who is ahead of all there are goes on with what happens from now on."""
        if self._position is None:
            return False
        if not is_ahead(self._position):
            return has_lost(self._position)
        self._position = None
        return True

    def _more(self) -> Iterator[bytes]:
        now = SYSTEM.now()
        found, self._position = FEED.after(self._position, now)
        is_silent = is_due(self._alive_at, ALIVE_EVERY, now)
        if found or is_silent:  # nothing is told to a token that has ended meanwhile
            self._reach = reach_of(streams.caller_now(self._call, now))
        if is_silent:
            self._alive_at = now
            yield b": alive\n\n"  # so that a caller who has gone is noticed
        for happened in found:
            if happened.is_within(self._reach):
                document = happened.document(in_full=self._is_admin)
                yield streams.event(json.dumps(document), happened.kind, str(happened.id))
