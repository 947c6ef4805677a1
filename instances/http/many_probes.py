"""Many looks at once on one thread: one that hangs costs a socket, and delays no other."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from instances.http.exchange import Address, Exchange, OwnTrouble, ProbeResult, Target, is_literal, target_of
from instances.http.http1 import RECEIVE_SIZE, AnswerError
from instances.http.pace import YOUNG, Pace

logger = logging.getLogger(__name__)

Then = Callable[[ProbeResult, float], None]  # is told for how many seconds it was asked
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


@dataclass
class _Open:
    """A connection under way; `unsent` is what is left of the request, `pace` its host's."""

    connection: socket.socket
    exchange: Exchange
    then: Then
    began: float
    unsent: bytes
    pace: Pace


@dataclass
class _Host:
    """What waits to be asked at one host, and how much of it may be asked at a time."""

    waiting: deque[tuple[Target, Address, Then]] = field(default_factory=deque)
    pace: Pace = field(default_factory=Pace)


def takes(address: Address) -> bool:
    """Whether the address can be asked here: by HTTP, at a number and not a name that is looked up."""
    try:
        target = target_of(address)
    except OwnTrouble:
        return False
    is_plain = bool(target.request) and not target.tls and not target.public_only
    return is_plain and is_literal(_family(target), target.host)


def _family(target: Target) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in target.host else socket.AF_INET


class ManyProbes:
    """Asks with the promises of `probe`, each within `timeout` seconds from when it begins.

    Hosts are asked beside each other, and each at its own pace. The thread is made with the first question
    and lives as long as the process.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._coming: deque[tuple[Address, Then]] = deque()
        self._hosts: dict[str, _Host] = {}
        self._open: dict[int, _Open] = {}  # in the order of their beginnings, which is that of their ends
        self._young: dict[int, _Open] = {}  # the same, of those that are young
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None
        self._is_asleep = False

    def ask(self, address: Address, then: Then) -> None:
        """Ask an address that this `takes`; `then` gets the result on the asking thread: be quick."""
        self._coming.append((address, then))
        if self._epoll is None:
            self._begin()
        elif self._is_asleep:
            self._wake_writer.send(b"\0")

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
            self._is_asleep = True
            # What was handed in before the flag was seen is here now; what comes later rings.
            wait = 0.0 if self._coming else self._until_next()
            events = epoll.poll(wait)
            self._is_asleep = False
            for descriptor, _ in events:
                self._go_on(descriptor)
            self._let_time_pass(time.monotonic())
            for _ in range(len(self._coming)):
                self._line_up(*self._coming.popleft())
            for name in list(self._hosts):
                self._ask_host(epoll, name)

    def _until_next(self) -> float | None:
        """Seconds until one is no longer young, or is to be given up."""
        oldest, young = _first(self._open), _first(self._young)
        ends = [oldest.began + self._timeout] if oldest else []
        ends += [young.began + YOUNG] if young else []
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _line_up(self, address: Address, then: Then) -> None:
        try:
            target = target_of(address)
        except OwnTrouble as error:
            _tell(then, Exchange(address).failure(error), 0.0)
            return
        self._hosts.setdefault(target.host, _Host()).waiting.append((target, address, then))

    def _ask_host(self, epoll: select.epoll, name: str) -> None:
        """Begin as many looks at a host as its pace allows; forget one where nobody waits or is asked."""
        host = self._hosts[name]
        while host.waiting and host.pace.has_room():
            self._connect(epoll, host.pace, *host.waiting.popleft())
        if not host.waiting and not host.pace.young:
            del self._hosts[name]

    def _connect(self, epoll: select.epoll, pace: Pace, target: Target, address: Address, then: Then) -> None:
        exchange, began = Exchange(address), time.monotonic()
        exchange.places = (target.host,)
        try:
            connection = socket.socket(_family(target), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            _tell(then, exchange.failure(error), 0.0)
            return
        known = _Open(connection, exchange, then, began, target.request, pace)
        self._open[connection.fileno()] = self._young[connection.fileno()] = known
        pace.began()
        code = connection.connect_ex((target.host, target.port))
        if code not in (0, errno.EINPROGRESS):
            self._end(known, exchange.failure(OSError(code, os.strerror(code))))
            return
        epoll.register(connection, _EVENTS)

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
            result = known.exchange.failure(OwnTrouble())
        self._end(known, result)

    @staticmethod
    def _exchanged(known: _Open) -> ProbeResult:
        while known.unsent:  # the first send tells as well if there is no connection
            known.unsent = known.unsent[known.connection.send(known.unsent) :]
        while True:
            reply = known.exchange.feed(known.connection.recv(RECEIVE_SIZE))
            if reply is not None:
                return known.exchange.result(reply)

    def _let_time_pass(self, now: float) -> None:
        """Give up those whose time is over, and count those as late that are not young any more."""
        while (known := _first(self._open)) and known.began + self._timeout <= now:
            self._end(known, known.exchange.failure(TimeoutError()), is_late=True)
        while (known := _first(self._young)) and known.began + YOUNG <= now:
            self._grow_old(known.connection.fileno(), is_late=True)

    def _grow_old(self, descriptor: int, *, is_late: bool) -> None:
        known = self._young.pop(descriptor, None)
        if known is not None:
            known.pace.ended(is_late=is_late)

    def _end(self, known: _Open, result: ProbeResult, *, is_late: bool = False) -> None:
        descriptor = known.connection.fileno()
        self._grow_old(descriptor, is_late=is_late)
        del self._open[descriptor]
        known.connection.close()
        _tell(known.then, result, time.monotonic() - known.began)


def _first(known: dict[int, _Open]) -> _Open | None:
    return next(iter(known.values()), None)


def _tell(then: Then, result: ProbeResult, seconds: float) -> None:
    try:
        then(result, seconds)
    except Exception as error:  # it belongs to whoever asked, and others' answers wait behind it
        logger.error("What was to follow a look failed: %s", type(error).__name__)
