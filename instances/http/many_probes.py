"""Many looks at once on one thread: one that hangs costs a socket, and delays no other."""

from __future__ import annotations

import errno
import logging
import os
import resource
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from msgspec import Struct

from instances.http.exchange import (
    Address,
    Exchange,
    NotAskedError,
    ProbeResult,
    Target,
    is_literal,
    target_of,
)
from instances.http.http1 import RECEIVE_SIZE, AnswerError
from instances.http.pace import YOUNG, Line, Pace

logger = logging.getLogger(__name__)

Then = Callable[[ProbeResult, float], None]  # is told for how many seconds it was asked
CAN_ASK_MANY = hasattr(select, "epoll")  # Linux has it; elsewhere each check asks for itself
if CAN_ASK_MANY:
    _ANSWER = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
    _CONNECTION = _ANSWER | select.EPOLLOUT
MOST_OPEN = 4096
PAUSE = 1.0  # seconds after a defect of ours


class ProbeRequest(Struct, frozen=True):
    """An address that can be asked beside many others: by HTTP, at a number and not a name to look up."""

    address: Address
    target: Target


# Is called when a look's turn has come: what to ask and who is told, None where nobody wants it any more.
NextProbe = Callable[[], tuple[ProbeRequest, Then] | None]


@dataclass(slots=True)
class _Open:
    """A connection under way; `unsent` is what is left of the request, `pace` its host's."""

    connection: socket.socket
    descriptor: int
    exchange: Exchange
    then: Then
    began: float
    unsent: bytes
    pace: Pace

    def send(self) -> None:
        """Send what is left; the first time tells as well if there is no connection."""
        while self.unsent:
            self.unsent = self.unsent[self.connection.send(self.unsent) :]


def probe_request(address: Address) -> ProbeRequest | None:
    """The address as one that can be asked here, if it can."""
    try:
        target = target_of(address)
    except NotAskedError:
        return None
    is_plain = bool(target.request) and not target.tls and not target.public_only
    return ProbeRequest(address, target) if is_plain and is_literal(_family(target), target.host) else None


def _family(target: Target) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in target.host else socket.AF_INET


class ManyProbes:
    """Asks with the promises of `probe`, each within `timeout` seconds from when it begins.

    Hosts are asked beside each other, and each at its own pace. The thread is made with the first question
    and lives as long as the process.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._coming: deque[tuple[str, NextProbe]] = deque()
        self._lines: dict[str, Line[NextProbe]] = {}
        self._open: dict[int, _Open] = {}  # in the order of their beginnings, which is that of their ends
        self._young: dict[int, _Open] = {}  # the same, of those that are young
        # Others of the process need sockets as well.
        self._most = min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None
        self._is_asleep = False

    def line_up(self, host: str, turn: NextProbe) -> None:
        """Have `turn` called, on the asking thread, when the host may be asked; as its answer: be quick."""
        self._coming.append((host, turn))
        if self._epoll is None:
            self._begin()
        elif self._is_asleep:
            self._is_asleep = False  # one ring is enough
            self._wake_writer.send(b"\0")

    def standing(self) -> int:
        """How many looks only wait: for a host that answers late, or for an answer that is late."""
        now = time.monotonic()
        return sum(line.standing(now) for line in list(self._lines.values())) + self._grown_old()

    def _grown_old(self) -> int:
        return max(0, len(self._open) - len(self._young))

    def _begin(self) -> None:
        with self._lock:
            if self._epoll is None:
                self._wake_reader, self._wake_writer = socket.socketpair()
                self._wake_reader.setblocking(False)
                epoll = select.epoll()
                epoll.register(self._wake_reader, select.EPOLLIN)
                threading.Thread(target=self._run, args=(epoll,), name="probes", daemon=True).start()
                self._epoll = epoll

    def _run(self, epoll: select.epoll) -> None:
        while True:
            try:
                self._go_round(epoll)
            except Exception as error:  # else nobody would be asked as long as this process lives
                logger.error("Asking instances met a defect: %s", type(error).__name__)
                time.sleep(PAUSE)

    def _go_round(self, epoll: select.epoll) -> None:
        self._is_asleep = True
        # What was handed in before the flag was seen is here now; what comes later rings.
        wait = 0.0 if self._coming else self._until_next()
        events = epoll.poll(wait)
        self._is_asleep = False
        for descriptor, _ in events:
            self._go_on(descriptor)
        now = time.monotonic()
        self._let_time_pass(now)
        for _ in range(len(self._coming)):
            host, turn = self._coming.popleft()
            self._lines.setdefault(host, Line()).join(turn, now)
        for name, line in list(self._lines.items()):
            while len(self._open) < self._most and (next_turn := line.next()):
                self._take_turn(epoll, line.pace, next_turn)
            if line.is_over():
                del self._lines[name]

    def _until_next(self) -> float | None:
        """Seconds until one is no longer young, or is to be given up."""
        oldest, young = _first(self._open), _first(self._young)
        ends = [oldest.began + self._timeout] if oldest else []
        ends += [young.began + YOUNG] if young else []
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _take_turn(self, epoll: select.epoll, pace: Pace, turn: NextProbe) -> None:
        try:
            wanted = turn()
        except Exception as error:
            logger.error("The turn of a look failed: %s", type(error).__name__)
            return
        if wanted is None:
            return
        request, then = wanted
        exchange = Exchange(request.address)
        exchange.places = (request.target.host,)
        try:
            self._connect(epoll, pace, request.target, exchange, then)
        except OSError as error:
            _tell(then, exchange.failure(error), 0.0)

    def _connect(
        self, epoll: select.epoll, pace: Pace, target: Target, exchange: Exchange, then: Then
    ) -> None:
        connection = socket.socket(_family(target), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        code = connection.connect_ex((target.host, target.port))
        if code not in (0, errno.EINPROGRESS):
            connection.close()
            raise OSError(code, os.strerror(code))
        descriptor = connection.fileno()
        known = _Open(connection, descriptor, exchange, then, time.monotonic(), target.request, pace)
        try:
            with suppress(BlockingIOError):  # what is far away has not connected yet
                known.send()
            epoll.register(descriptor, _CONNECTION if known.unsent else _ANSWER)
        except OSError:
            connection.close()
            raise
        self._open[descriptor] = self._young[descriptor] = known
        pace.began()

    def _go_on(self, descriptor: int) -> None:
        known = self._open.get(descriptor)
        if known is None:  # somebody rang
            self._wake_reader.recv(4096)
            return
        try:
            result = self._exchanged(known)
        except BlockingIOError:  # there will be an event for the rest
            return
        except (AnswerError, OSError) as error:
            result = known.exchange.failure(error)
        except Exception as error:  # a defect must not end the thread that others' looks are on
            logger.error("A look failed for a reason of our own: %s", type(error).__name__)
            result = known.exchange.failure(NotAskedError())
        self._end(known, result)

    @staticmethod
    def _exchanged(known: _Open) -> ProbeResult:
        known.send()
        while True:
            reply = known.exchange.feed(known.connection.recv(RECEIVE_SIZE))
            if reply is not None:
                return known.exchange.result(reply)

    def _let_time_pass(self, now: float) -> None:
        """Give up those whose time is over, and count those as late that are not young any more."""
        while (known := _first(self._open)) and known.began + self._timeout <= now:
            self._end(known, known.exchange.failure(TimeoutError()), is_late=True)
        while (known := _first(self._young)) and known.began + YOUNG <= now:
            self._grow_old(known, is_late=True)

    def _grow_old(self, known: _Open, *, is_late: bool) -> None:
        if self._young.pop(known.descriptor, None):
            known.pace.ended(is_late=is_late)

    def _end(self, known: _Open, result: ProbeResult, *, is_late: bool = False) -> None:
        self._grow_old(known, is_late=is_late)
        del self._open[known.descriptor]
        known.connection.close()
        _tell(known.then, result, time.monotonic() - known.began)


def _first(known: dict[int, _Open]) -> _Open | None:
    return next(iter(known.values()), None)


def _tell(then: Then, result: ProbeResult, seconds: float) -> None:
    try:
        then(result, seconds)
    except Exception as error:  # it belongs to whoever asked, and others' answers wait behind it
        logger.error("What was to follow a look failed: %s", type(error).__name__)
