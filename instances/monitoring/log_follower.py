"""Following one container's log, and counting in it what its plan wants to be told of.

The log itself is what is remembered: whoever begins to follow reads the last two windows again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from time import monotonic

from instances.containers.facts import short_id
from instances.containers.log_alerts import LogAlert
from instances.engine.pool import EngineAddress
from instances.engine.port import LogStream
from instances.errors import DockmgrError
from instances.lib.clock import SET_ANEW
from instances.lib.log_lines import RawLine, for_terminal, raw_lines, shown
from instances.lib.redact import Redactor
from instances.monitoring.log_rules import Moment, Place, Rate, TokenBucket, stamped
from instances.outside import Outside

logger = logging.getLogger(__name__)

LINES_AGAIN = 10_000  # of a log that is opened anew, the newest at most
LINES_KEPT, LINE_KEPT = 5, 1000  # of those that match, for people; bytes of each
RATE, BURST = 256 * 1024, 4 * 1024**2  # bytes a second of one log
RATE_OF_ALL, BURST_OF_ALL = 2 * 1024**2, 16 * 1024**2  # and of all that this process follows
AGAIN_SECONDS, AGAIN_AT_MOST = 1.0, 15.0  # until a log that has ended is opened anew
UNSHOWN = "a line that can't be shown, as its secrets could not be read"
SETTLES = 30.0  # seconds in which a log that was opened anew has told what was missed
NANO = 10**9


class Counted:
    """One alert of one instance: how often its lines come, and the last of them, redacted.

    `was_above` says that there were too many when lines were written that were read late.
    """

    def __init__(self, alert: LogAlert) -> None:
        self.alert = alert
        self.told = self.was_above = False
        self._pattern = alert.pattern
        self._rate = Rate(alert.more_than, timedelta(seconds=alert.within))
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._lock = threading.Lock()

    def has(self, line: bytes) -> bool:
        """Whether a line, in UTF-8, is one of those that are counted."""
        return self._pattern.search(line) is not None

    def add(self, at: datetime, line: str, *, is_late: bool) -> None:
        with self._lock:
            is_above = self._rate.add(at)
            self.was_above = self.was_above or (is_late and is_above)
            self._lines.append(line)

    def is_above(self, now: datetime) -> bool:
        with self._lock:
            return self._rate.is_above(now)

    def lines(self) -> list[str]:
        with self._lock:
            return list(self._lines)


class SharedBucket:
    """What all logs of this process may take together."""

    def __init__(self) -> None:
        self._bucket, self._lock = TokenBucket(RATE_OF_ALL, BURST_OF_ALL), threading.Lock()

    def spend(self, size: int, now: float) -> float:
        with self._lock:
            return self._bucket.spend(size, now)


class LogFollower:
    """A thread that counts in one container's log until it is stopped, whatever becomes of its engine.

    `redactor` is asked for what hides the instance's secrets when the first line is to be kept.
    """

    def __init__(
        self,
        container: str,
        counted: Sequence[Counted],
        outside: Outside,
        address: EngineAddress,
        redactor: Callable[[], Redactor | None],
        shared: SharedBucket,
    ) -> None:
        self.container, self.address, self.counted = container, address, counted
        self._outside, self._redactor, self._shared = outside, redactor, shared
        self._followed_since = outside.clock.now()
        longest = max((each.alert.within for each in counted), default=0)
        self._begins: datetime | None = self._followed_since - timedelta(seconds=2 * longest)
        self._place = Place(_moment(self._begins))
        self._ahead = timedelta(0)  # of its engine's clock, where that is much
        self._set_back_from: Moment = 0
        self._bucket = TokenBucket(RATE, BURST)
        self._hides: Redactor | None = None
        self._over = threading.Event()
        self._stream: LogStream | None = None
        self._opened_at: float | None = None  # since when nothing was in the way, by the monotonic clock
        self._heard_at = monotonic()
        self._rests_until: float | None = None  # the last time that more came than may be read
        self._thread = threading.Thread(target=self._run, name="log-alerts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was written is counted, as far as can be known."""
        opened = self._opened_at
        return opened is not None and monotonic() - opened > SETTLES and not self._lags

    @property
    def _is_held_back(self) -> bool:
        return self._rests_until is not None and monotonic() - self._rests_until < SETTLES

    @property
    def _lags(self) -> bool:
        """Whether much is left to read. An old line alone says nothing: its engine's clock may run slow."""
        behind = self._present() - self._place.since
        return self._is_held_back and behind > SETTLES * NANO

    def stop(self) -> None:
        """Begin nothing more; the thread ends soon."""
        self._over.set()
        self._hang_up()

    def try_anew(self, silence: float) -> None:
        """Have a log opened anew that has said nothing for so many seconds: it may be a dead line."""
        if monotonic() - self._heard_at > silence:
            self._heard_at = monotonic()
            self._hang_up()

    def join(self, seconds: float) -> None:
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _hang_up(self) -> None:
        stream = self._stream
        if stream is not None:
            stream.close()

    def _run(self) -> None:
        wait, is_said = AGAIN_SECONDS, False
        while not self._over.is_set():
            try:
                wait = AGAIN_SECONDS if self.follow() else min(2 * wait, AGAIN_AT_MOST)
                is_said = False
            except DockmgrError as error:
                if not is_said:
                    logger.info(
                        "The log of container %s can't be followed: %s", short_id(self.container), error
                    )
                self._opened_at, is_said = None, True
                wait = min(2 * wait, AGAIN_AT_MOST)
            except Exception:  # a thread that ended would be missed by nobody
                logger.exception("Following the log of container %s failed.", short_id(self.container))
                self._opened_at, wait = None, AGAIN_AT_MOST
            self._over.wait(wait)

    def follow(self) -> int:
        """Count until the log ends, from where it was read to; returns how many lines were new.

        Raises DockmgrError.
        """
        engine = self._outside.engines.at(self.address)
        self._compare_clocks(engine.facts().time)
        since = datetime.fromtimestamp(self._place.since // NANO, UTC)
        stream = engine.logs(self.container, lines=LINES_AGAIN, since=since, timestamps=True, follow=True)
        new = 0
        with closing(stream):
            self._stream, self._heard_at = stream, monotonic()
            if self._over.is_set():
                return new
            self._opened_at = self._opened_at or monotonic()
            self._place.opened()
            for kept, dropped in raw_lines(self._paced(stream)):
                at, text = stamped(kept)
                if at is not None and self._is_set_back(at):
                    break
                new += at is not None and self._count(at, text, dropped)
        return new

    def _present(self) -> Moment:
        """Of its engine's clock."""
        return _moment(self._outside.clock.now() + self._ahead)

    def _compare_clocks(self, told: datetime | None) -> None:
        """Go by its engine's clock: one that is asked `since` a moment to come says nothing until then."""
        ahead = told - self._outside.clock.now() if told else timedelta(0)
        self._ahead = ahead if abs(ahead) > SET_ANEW else timedelta(0)
        if self._begins is not None:
            self._place, self._begins = Place(_moment(self._begins + self._ahead)), None
        elif self._place.since > self._present() + _nano(SET_ANEW):
            self._set_back_from = max(self._set_back_from, self._place.since)
            self._place = Place(self._present() - _nano(SET_ANEW))

    def _is_set_back(self, at: Moment) -> bool:
        """Whether its engine's clock was set back while the log was read, which is opened anew for that."""
        return not self._place.reads_again and at < self._place.since - _nano(SET_ANEW)

    def _paced(self, stream: LogStream) -> Iterator[bytes]:
        for chunk in stream:
            if self._over.is_set():
                return
            yield chunk
            self._heard_at = now = monotonic()
            rest = max(self._bucket.spend(len(chunk), now), self._shared.spend(len(chunk), now))
            if rest:
                self._rests_until = now + rest
                if self._over.wait(rest):
                    return

    def _count(self, at: Moment, text: bytes, dropped: int) -> bool:
        """Count a line where it is new; returns whether it is."""
        if self._is_former(at) or not self._place.is_new(at):
            return False
        text = text.rstrip(b"\r")
        line = _readable(text)
        for each in self.counted:
            if each.has(line):
                self._add(each, at, (text, dropped))
        return True

    def _is_former(self, at: Moment) -> bool:
        """Whether a line was written before its engine's clock was set back."""
        return at <= self._set_back_from and at > self._present() + _nano(SET_ANEW)

    def _add(self, counted: Counted, at: Moment, line: RawLine) -> None:
        self._hides = hides = self._hides or self._redactor()
        written = min(datetime.fromtimestamp(at / NANO, UTC) - self._ahead, self._outside.clock.now())
        # What was there before it followed may have been told by another process.
        is_late = self._is_held_back and written >= self._followed_since
        counted.add(written, shown(line, hides, LINE_KEPT) if hides else UNSHOWN, is_late=is_late)


def _moment(at: datetime) -> Moment:
    return int(at.timestamp()) * NANO


def _nano(span: timedelta) -> Moment:
    return int(span.total_seconds()) * NANO


def _readable(text: bytes) -> bytes:
    """A line in UTF-8, whatever it was, and without colours: they stand between words."""
    line = text.decode("utf-8", "replace")
    return (for_terminal(line) if "\x1b" in line else line).encode()
