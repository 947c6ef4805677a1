"""The only HTTP client for instances: one bounded look at one address."""

from __future__ import annotations

import errno
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote, urlsplit

from instances.health.response import PROBER, Expect, Outcome, Reply, judge_response, sentence
from instances.http.certificate import Certificate, certificate_of
from instances.http.encoding import decoded
from instances.http.http1 import AnswerError, Wire, read_body, read_head, time_left
from instances.lib.reserved import is_public

_HOST = re.compile(r"[0-9A-Za-z._:%-]+")
SILENCE = 0.5  # seconds in which a connection nobody wants is closed again
_SAFE_IN_TARGET = "%/:=&?~+!$,;'@()*[]|"

_REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "closed",
    errno.ECONNABORTED: "closed",
    errno.EPIPE: "closed",
    errno.ENOTCONN: "closed",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
}
_NO_SUCH_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}


@dataclass(frozen=True)
class Address:
    """Where and how to ask. `url` is http, https or, for a bare connection, tcp; `expect` says how to read
    the answer, `status` which ones pass instead of 2xx. `host` is asked for in place of the URL's; `headers`
    may hold secrets. With `public_only` no address is asked that is not one of the internet.
    """

    url: str
    expect: Expect = Expect.AUTO
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    status: tuple[int, ...] = ()
    tls_verify: bool = True
    public_only: bool = False


@dataclass(frozen=True)
class ProbeResult:
    """What one look saw. `error` is a sentence for people, empty when all is well.

    `places` are the addresses the host name stands for, as far as they may be asked; None where that could
    not be found out.
    """

    outcome: Outcome
    reason: str
    http_status: int | None
    latency_ms: int
    version: str | None
    error: str
    places: tuple[str, ...] | None = ()
    certificate: Certificate | None = None


PRIVATE = "private_address"


class _NotPublicError(Exception):
    """The host name leads to no address of the internet."""


class _OwnTrouble(Exception):
    """The look could not be made for a reason on our side; the text says which."""


@dataclass(frozen=True)
class _Target:
    tls: bool
    host: str
    port: int
    request: bytes
    name: str
    verify: bool
    public_only: bool = False


@dataclass
class _Met:
    """Who was met on the way to an answer."""

    places: tuple[str, ...] | None = None
    certificate: Certificate | None = None


def probe(address: Address, timeout: float) -> ProbeResult:
    """Ask once with GET and judge the answer; takes at most `timeout` seconds in all.

    Reads at most 64 KiB of body, also when unpacked (none for `http_2xx`, which goes by the status
    alone), follows no redirect and uses no proxy. Never raises for what the network or the server does:
    that is FAIL with a reason code. What is wrong on our side (no sockets left, resolver down, not a
    URL) is UNKNOWN with the reason `prober`.
    """
    started = time.monotonic()
    met = _Met()
    reply, detail = _ask(address, started + timeout, met)
    latency_ms = int((time.monotonic() - started) * 1000)
    error = sentence(reply.reason)
    if detail:
        error = f"{error[:-1]} ({detail})."
    return ProbeResult(
        reply.outcome, reply.reason, reply.http_status, latency_ms, reply.version, error,
        met.places, met.certificate,
    )  # fmt: skip


def _ask(address: Address, deadline: float, met: _Met) -> tuple[Reply, str]:
    """The judged reply and a detail for people."""
    status = None
    try:
        target = _target(address)
        with closing(_connect(target, deadline, met)) as connection:
            if not target.request:
                return _stays_open(connection, deadline), ""
            connection.settimeout(time_left(deadline))
            connection.sendall(target.request)
            wire = Wire(connection, deadline)
            status, headers = read_head(wire)
            wanted = 200 <= status < 300 and status != 204 and address.expect != Expect.HTTP_2XX
            body = decoded(read_body(wire, headers), headers) if wanted else b""
    except AnswerError as error:
        return _failed(error.reason, status), ""
    except _NotPublicError:
        return _failed(PRIVATE, status), ""
    except _OwnTrouble as error:
        return _failed(PROBER, status), str(error)
    except OSError as error:
        return _failed(_reason(error), status), _detail(error)
    return judge_response(status, body, address.expect, address.status), ""


def _stays_open(connection: socket.socket, deadline: float) -> Reply:
    """Whether somebody is there: what publishes a port takes connections before the program does, and closes
    them again.
    """
    connection.settimeout(min(SILENCE, time_left(deadline)))
    try:
        return Reply(Outcome.OK) if connection.recv(1) else _failed("closed", None)
    except TimeoutError:
        return Reply(Outcome.OK)


def _failed(reason: str, status: int | None) -> Reply:
    return Reply(Outcome.UNKNOWN if reason == PROBER else Outcome.FAIL, reason, status)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, socket.gaierror):
        return "dns" if error.errno in _NO_SUCH_NAME else PROBER
    return _REASONS.get(error.errno or 0, PROBER)


def _detail(error: OSError) -> str:
    """What the system says about an error whose code alone leaves a person guessing."""
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "verify_message", "") or error.reason or "").rstrip(".")
    return (error.strerror or "").rstrip(".") if _reason(error) == PROBER else ""


def _target(address: Address) -> _Target:
    try:
        parts = urlsplit(address.url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise _OwnTrouble("the address is malformed") from error
    if parts.scheme not in ("http", "https", "tcp") or not _HOST.fullmatch(host):
        raise _OwnTrouble("the address is not an http or https URL")
    if parts.scheme == "tcp":
        return _Target(False, host, port or 0, b"", host, True, address.public_only)
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_SAFE_IN_TARGET)
    tls = parts.scheme == "https"
    authority = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
    request = _request(path, address.host or authority, address.headers)
    default_port = 443 if tls else 80
    place = default_port if port is None else port
    name, verify = address.host or host, address.tls_verify
    return _Target(tls, host, place, request, name, verify, address.public_only)


def _request(path: str, authority: str, headers: Mapping[str, str]) -> bytes:
    ours = {"User-Agent": "dockmgr", "Accept": "*/*"}
    said = {name.lower() for name in headers}
    free = {**{name: text for name, text in ours.items() if name.lower() not in said}, **headers}
    lines = [f"{name}: {text}\r\n" for name, text in free.items()]
    return (
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\n{''.join(lines)}"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _connect(target: _Target, deadline: float, met: _Met) -> socket.socket:
    """A connection to the first address that takes one; each gets its share of what time is left."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    places = [(family, target.host)] if _is_literal(family, target.host) else _resolve(target, deadline)
    if target.public_only:
        places = [(family, host) for family, host in places if is_public(host)]
    met.places = tuple(sorted({host for _, host in places}))
    if not places:
        raise _NotPublicError
    problems: list[OSError] = []
    for tried, (family, host) in enumerate(places):
        try:
            connection = _dial(family, (host, target.port), time_left(deadline) / (len(places) - tried))
        except OSError as error:
            problems.append(error)
        else:
            return _secure(connection, target, deadline, met) if target.tls else connection
    # A machine without IPv6 must not hide that the IPv4 address refuses.
    raise min(problems, key=lambda error: _reason(error) == PROBER)


def _is_literal(family: socket.AddressFamily, host: str) -> bool:
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True


def _dial(family: socket.AddressFamily, place: tuple[str, int], timeout: float) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


def _secure(connection: socket.socket, target: _Target, deadline: float, met: _Met) -> socket.socket:
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


def _resolve(target: _Target, deadline: float) -> list[tuple[socket.AddressFamily, str]]:
    """Addresses of a host name. getaddrinfo knows no timeout, so a thread waits for it in our place."""
    answers: queue.SimpleQueue[list[tuple[socket.AddressFamily, str]] | OSError] = queue.SimpleQueue()
    lookup = threading.Thread(target=_look_up, args=(target, answers), daemon=True)
    try:
        lookup.start()
        answer = answers.get(timeout=time_left(deadline))
    except queue.Empty as error:
        raise _OwnTrouble("the name service does not answer") from error
    except RuntimeError as error:
        raise _OwnTrouble("no thread left to resolve the host name") from error
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(
    target: _Target, answers: queue.SimpleQueue[list[tuple[socket.AddressFamily, str]] | OSError]
) -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        answers.put(error)
    else:
        answers.put([(family, str(place[0])) for family, _, _, _, place in found])
