"""The HTTP client for all but instances and engines: one bounded request, and of its answer the head."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader
from requests.utils import get_environ_proxies
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError, ReadTimeoutError

from instances.lib.causes import causes
from instances.lib.time_limit import within

NOT_FOR_HTTP = "unusable"
_HEADERS = {"User-Agent": "dockmgr", "Connection": "close", "Accept-Encoding": "identity"}
_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((TimeoutError, ReadTimeoutError), "timeout"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "dns"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "closed"),
    ((http.client.HTTPException, InvalidHeader, UnicodeError, ProtocolError, DecodeError), "bad_response"),
    (Exception, "unreachable"),
)


class NoAnswerError(Exception):
    """No answer came. `code` says why: `unusable` for what HTTP can't carry, else as in `health.response`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Request:
    """What is asked of whom."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = None


def ask(
    request: Request, seconds: float, *, verify: bool = True, redirects: int = 0, ca: str = ""
) -> requests.Response:
    """The head of the answer to one request, in at most `seconds` in all; its body is not read.

    `ca` is a PEM file of whom to trust beside those the system trusts. Proxies are those of the
    environment, credentials those of the request alone. Nothing is sent after
    that time. Raises NoAnswerError, which shows no address.
    """
    adapter = _Adapter(ca)
    with requests.Session() as session:
        session.trust_env = False  # which would also add credentials from ~/.netrc
        session.verify = verify
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        prepared = _prepared(session, request)
        try:
            # On a thread: name look-ups and dripping answers know no timeout.
            return within(seconds, lambda: _head(session, prepared, seconds, redirects), adapter.end)
        except (OSError, HTTPError, http.client.HTTPException, ValueError) as error:
            raise NoAnswerError(code_of(error)) from None


def is_askable(request: Request) -> bool:
    """Whether HTTP can carry such a request. Nothing is sent."""
    with requests.Session() as session:
        try:
            _prepared(session, request)
        except NoAnswerError:
            return False
    return True


def _prepared(session: requests.Session, request: Request) -> requests.PreparedRequest:
    headers = {**_HEADERS, **request.headers}
    try:
        encoded = {name.encode("ascii").decode(): text.encode("latin-1") for name, text in headers.items()}
        asked = requests.Request(request.method, request.url, encoded, data=request.body)
        prepared = session.prepare_request(asked)
        session.get_adapter(str(prepared.url))
    except ValueError:
        raise NoAnswerError(NOT_FOR_HTTP) from None
    return prepared


def _head(session: requests.Session, request: Any, seconds: float, redirects: int) -> requests.Response:
    proxies, verify = get_environ_proxies(request.url), bool(session.verify)
    answer = session.get_adapter(request.url).send(request, True, seconds, verify, proxies=proxies)
    answer.close()  # before anything could read its body
    steps = session.resolve_redirects(answer, request, yield_requests=True)
    step = next(steps, None) if redirects else None
    return _head(session, step, seconds, redirects - 1) if step else answer


def code_of(error: BaseException | None) -> str:
    """Why no answer came, by what is beneath the libraries' own errors, which tell less."""
    chain = list(causes(error))
    return next(code for kind, code in _CODES if any(isinstance(one, kind) for one in chain))


class _Adapter(HTTPAdapter):
    """Trusts the authorities that the system trusts; another thread can end what it has under way."""

    def __init__(self, ca: str = "") -> None:
        super().__init__()
        self._ca = ca
        self.ended = False
        self.connections: list[Any] = []

    def end(self) -> None:
        """End the request whatever the other side does, so that its thread ends as well."""
        self.ended = True
        for connection in self.connections:
            with suppress(OSError, AttributeError):  # not connected yet, or no more
                connection.sock.shutdown(socket.SHUT_RDWR)

    def get_connection_with_tls_context(self, *given: Any, **named: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*given, **named)
        pool.ConnectionCls = _endable(pool.ConnectionCls, self)
        return pool

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        place, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return place, {"ssl_context": _tls(bool(verify), self._ca)} if place["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context says it all."""


def _endable(kind: Any, adapter: _Adapter) -> Any:
    class Endable(kind):  # type: ignore[misc]
        def connect(self) -> None:
            adapter.connections.append(self)
            super().connect()
            # Else the library warns, naming the host, of what the request asks for.
            self.is_verified = True
            if adapter.ended:
                raise TimeoutError

    return Endable


@cache
def _tls(verify: bool, ca: str) -> ssl.SSLContext:
    """Raises NoAnswerError when the file holds nobody to trust."""
    context = ssl.create_default_context()
    try:
        if ca:
            context.load_verify_locations(ca)
    except OSError:
        raise NoAnswerError("ca_file") from None
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
