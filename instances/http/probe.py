"""The only HTTP client for instances: one bounded look at one address."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from contextlib import closing
from functools import cache

from instances.health.response import PROBER, Outcome, Reply
from instances.http.certificate import certificate_of
from instances.http.exchange import (
    PRIVATE,
    Address,
    Exchange,
    NotAskedError,
    NotPublicError,
    ProbeResult,
    Target,
    failed,
    is_literal,
    reason_of,
    target_of,
)
from instances.http.http1 import RECEIVE_SIZE, AnswerError
from instances.lib.reserved import is_public

__all__ = ["PRIVATE", "Address", "ProbeResult", "probe"]

SILENCE = 0.5  # seconds in which a connection nobody wants is closed again


def probe(address: Address, timeout: float) -> ProbeResult:
    """Ask once with GET and judge the answer; takes at most `timeout` seconds in all.

    Reads at most 64 KiB of body, also when unpacked (none for `http_2xx`, which goes by the status
    alone), follows no redirect and uses no proxy. Never raises for what the network or the server does:
    that is FAIL with a reason code. What is wrong on our side (no sockets left, resolver down, not a
    URL) is UNKNOWN with the reason `prober`.
    """
    exchange, deadline = Exchange(address), time.monotonic() + timeout
    try:
        target = target_of(address)
        with closing(_connect(target, deadline, exchange)) as connection:
            if not target.request:
                return exchange.result(_stays_open(connection, deadline))
            return exchange.result(_answer(connection, target, exchange, deadline))
    except (AnswerError, NotPublicError, NotAskedError, OSError) as error:
        return exchange.failure(error)


def _answer(connection: socket.socket, target: Target, exchange: Exchange, deadline: float) -> Reply:
    connection.settimeout(time_left(deadline))
    connection.sendall(target.request)
    while True:
        connection.settimeout(time_left(deadline))
        reply = exchange.feed(connection.recv(RECEIVE_SIZE))
        if reply is not None:
            return reply


def time_left(deadline: float) -> float:
    """Seconds until `deadline`; raises TimeoutError rather than returning none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _stays_open(connection: socket.socket, deadline: float) -> Reply:
    """Whether somebody is there: what publishes a port takes connections before the program does, and closes
    them again.
    """
    connection.settimeout(min(SILENCE, time_left(deadline)))
    try:
        return Reply(Outcome.OK) if connection.recv(1) else failed("closed", None)
    except TimeoutError:
        return Reply(Outcome.OK)


def _connect(target: Target, deadline: float, met: Exchange) -> socket.socket:
    """A connection to the first address that takes one; each gets its share of what time is left."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    places = [(family, target.host)] if is_literal(family, target.host) else _resolve(target, deadline)
    if target.public_only:
        places = [(family, host) for family, host in places if is_public(host)]
    met.places = tuple(sorted({host for _, host in places}))
    if not places:
        raise NotPublicError
    problems: list[OSError] = []
    for tried, (family, host) in enumerate(places):
        try:
            connection = _dial(family, (host, target.port), time_left(deadline) / (len(places) - tried))
        except OSError as error:
            problems.append(error)
        else:
            return _secure(connection, target, deadline, met) if target.tls else connection
    # A machine without IPv6 must not hide that the IPv4 address refuses.
    raise min(problems, key=lambda error: reason_of(error) == PROBER)


def _dial(family: socket.AddressFamily, place: tuple[str, int], timeout: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


def _secure(connection: socket.socket, target: Target, deadline: float, met: Exchange) -> socket.socket:
    with closing(connection):  # wrapping takes the descriptor over, so this closes only what it left
        connection.settimeout(time_left(deadline))
        secured = _tls_context(target.verify).wrap_socket(connection, server_hostname=target.name)
    met.certificate = certificate_of(secured)
    return secured


@cache
def _tls_context(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _resolve(target: Target, deadline: float) -> list[tuple[socket.AddressFamily, str]]:
    """Addresses of a host name. getaddrinfo knows no timeout, so a thread waits for it in our place."""
    answers: queue.SimpleQueue[list[tuple[socket.AddressFamily, str]] | OSError] = queue.SimpleQueue()
    lookup = threading.Thread(target=_look_up, args=(target, answers), daemon=True)
    try:
        lookup.start()
        answer = answers.get(timeout=time_left(deadline))
    except queue.Empty as error:
        raise NotAskedError("the name service does not answer") from error
    except RuntimeError as error:
        raise NotAskedError("no thread left to resolve the host name") from error
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(
    target: Target, answers: queue.SimpleQueue[list[tuple[socket.AddressFamily, str]] | OSError]
) -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        answers.put(error)
    else:
        answers.put([(family, str(place[0])) for family, _, _, _, place in found])
