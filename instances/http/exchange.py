"""One question to an instance and its answer, whoever has the socket: what is sent, and what it means."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from msgspec import Struct

from instances.health.response import PROBER, Expect, Outcome, Reply, judge_response, sentence
from instances.http.certificate import Certificate
from instances.http.encoding import decoded
from instances.http.http1 import AnswerError, Reading, Wire, plain_body, read_body, read_head
from instances.lib.addresses import is_machine

_HOST = re.compile(r"[0-9A-Za-z._:%-]+")
_NUMBER = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")
_OURS = {"User-Agent": "dockmgr", "Accept": "*/*"}
_PLAIN = re.compile(
    r"(https?|tcp)://((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?::([1-5]?[0-9]{1,4}|6[0-4][0-9]{3}))?((?:/[A-Za-z0-9._~-]*)*)"
)
Parts = tuple[str, str, int | None, str]  # scheme, host, port, and path with query as they are sent
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


class Address(Struct, frozen=True):
    """Where and how to ask. `url` is http, https or, for a bare connection, tcp; `expect` says how to read
    the answer, `status` which ones pass instead of 2xx. `host` is asked for in place of the URL's; `headers`
    may hold secrets and are not shown. With `public_only` only addresses of the internet are asked.
    """

    url: str
    expect: Expect = Expect.AUTO
    host: str = ""
    headers: Mapping[str, str] = {}
    status: tuple[int, ...] = ()
    tls_verify: bool = True
    public_only: bool = False

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


class ProbeResult(Struct, frozen=True):
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


class NotPublicError(Exception):
    """The host name leads to no address of the internet."""


class NotAskedError(Exception):
    """The look could not be made for a reason on our side; the text says which."""


class Target(Struct, frozen=True):
    tls: bool
    host: str
    port: int
    request: bytes
    name: str
    verify: bool
    public_only: bool


class Exchange:
    """The answer to one question as it comes, and what is to be told of it in the end.

    `places` and `certificate` are of whom was met; whoever has the socket says so.
    """

    __slots__ = ("_address", "_reading", "_started", "_status", "certificate", "places")

    def __init__(self, address: Address) -> None:
        self.places: tuple[str, ...] | None = None
        self.certificate: Certificate | None = None
        self._address, self._started = address, time.monotonic()
        self._status: int | None = None
        self._reading: Reading[Reply] | None = None

    def feed(self, data: bytes) -> Reply | None:
        """Take what came (nothing: the other side closed); the reply as soon as it is known.

        Raises AnswerError for what is no answer that can be judged.
        """
        reading = self._reading
        if reading is None:
            if (body := plain_body(data)) is not None:
                return self._judged(200, body)
            reading = self._reading = self._read(Wire())
            next(reading)
        try:
            reading.send(data)
        except StopIteration as end:
            reply: Reply = end.value
            return reply
        return None

    def _read(self, wire: Wire) -> Reading[Reply]:
        self._status, headers = status, _ = yield from read_head(wire)
        wanted = 200 <= status < 300 and status != 204 and self._address.expect != Expect.HTTP_2XX
        body = decoded((yield from read_body(wire, headers)), headers) if wanted else b""
        return self._judged(status, body)

    def _judged(self, status: int, body: bytes) -> Reply:
        address = self._address
        read = b"" if address.expect is Expect.HTTP_2XX else body
        return judge_response(status, read, address.expect, address.status)

    def result(self, reply: Reply, detail: str = "") -> ProbeResult:
        """What the look saw; `detail` is for people."""
        latency_ms = int((time.monotonic() - self._started) * 1000)
        error = sentence(reply.reason)
        if detail:
            error = f"{error[:-1]} ({detail})."
        return ProbeResult(
            reply.outcome, reply.reason, reply.http_status, latency_ms, reply.version, error,
            self.places, self.certificate,
        )  # fmt: skip

    def failure(self, error: AnswerError | NotPublicError | NotAskedError | OSError) -> ProbeResult:
        """What it saw when this is what became of it."""
        if isinstance(error, NotPublicError):
            return self.result(failed(PRIVATE, self._status))
        if isinstance(error, AnswerError):
            return self.result(failed(error.reason, self._status))
        if isinstance(error, NotAskedError):
            return self.result(failed(PROBER, self._status), str(error))
        return self.result(failed(reason_of(error), self._status), _detail(error))


def failed(reason: str, status: int | None) -> Reply:
    """The reply of a look that brought no answer."""
    return Reply(Outcome.UNKNOWN if reason == PROBER else Outcome.FAIL, reason, status)


def reason_of(error: OSError) -> str:
    """The code of what went wrong with a connection."""
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
    return (error.strerror or "").rstrip(".") if reason_of(error) == PROBER else ""


def target_of(address: Address) -> Target:
    """Where to connect and what to send. Raises NotAskedError for what is no URL, or no host to ask for."""
    scheme, host, port, path = _plain_parts(address.url) or _parts(address.url)
    if scheme == "tcp":
        return Target(False, host, port or 0, b"", host, True, address.public_only)
    tls = scheme == "https"
    if address.host and not (is_machine(address.host) if tls else _HOST.fullmatch(address.host)):
        raise NotAskedError("the host to ask for is malformed")
    authority = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
    request = _request(path, address.host or authority, address.headers)
    default_port = 443 if tls else 80
    place = default_port if port is None else port
    name, verify = address.host or host, address.tls_verify
    return Target(tls, host, place, request, name, verify, address.public_only)


def _parts(url: str) -> Parts:
    try:
        parts = urlsplit(url)
        port = parts.port
        name = parts.hostname or ""
        host = name if _NUMBER.fullmatch(name) else name.encode("idna").decode()
    except ValueError as error:
        raise NotAskedError("the address is malformed") from error
    if parts.scheme not in ("http", "https", "tcp") or not _HOST.fullmatch(host):
        raise NotAskedError("the address is not an http or https URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port, quote(path, safe=_SAFE_IN_TARGET)


def _plain_parts(url: str) -> Parts | None:
    """The same of an address as almost all instances have it, in a tenth of the time; None for any other."""
    if not (found := _PLAIN.fullmatch(url)):
        return None
    scheme, host, port, path = found.groups()
    return scheme, host, int(port) if port else None, path or "/"


def _request(path: str, authority: str, headers: Mapping[str, str]) -> bytes:
    lines = _header_lines(headers) if headers else _OUR_LINES
    return (
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\n{lines}"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def _header_lines(headers: Mapping[str, str]) -> str:
    said = set(map(str.lower, headers))
    free = {name: text for name, text in _OURS.items() if name.lower() not in said}
    return "".join([f"{name}: {text}\r\n" for name, text in (free | dict(headers)).items()])


_OUR_LINES = _header_lines({})


def is_literal(family: socket.AddressFamily, host: str) -> bool:
    """Whether the host is an address, and no name that has to be looked up."""
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True
