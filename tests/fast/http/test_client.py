"""The HTTP client: bounded in time and size, with the request's own credentials and the system's trust."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from instances.http import client
from instances.http.client import NoAnswerError, Request, ask
from tests.hostile_server import (
    BEHAVIOURS,
    HostileServer,
    answer,
    drip,
    flood,
    raw_then_silence,
    self_signed,
    server_tls,
)
from tests.receiver import timed
from tests.rows import at_once, row

LONG = 30.0
SHORT = 0.15
MARGIN = 10.0
NO_HEADERS: Mapping[str, str] = {}
OWN = {"Authorization": "Bearer own"}
BUFFERED = 16 * 1024**2  # what the sockets of both sides may hold of an answer that nobody reads


def get(
    url: str, seconds: float = LONG, redirects: int = 0, headers: Mapping[str, str] = NO_HEADERS
) -> int | str:
    """The status, or why there was none."""
    try:
        return ask(Request(url, headers=headers), seconds, redirects=redirects).status_code
    except NoAnswerError as error:
        assert str(error) == error.code
        return error.code


def redirect(to: HostileServer) -> HostileServer:
    return HostileServer(answer(b"", "307 Temporary Redirect", f"Location: {to.url()}\r\n"))


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "within":
            thread.join(timeout=LONG)
            assert not thread.is_alive()


def test_nothing_a_server_does_holds_the_caller_or_a_thread() -> None:
    """Neither does a handshake that never ends, nor a redirect to one that drips: it shares the time."""

    def case(how: str) -> None:
        said, seconds = timed(lambda: get(urls[how], SHORT, redirects=1))
        assert seconds < SHORT + MARGIN
        assert how in servers or said == "timeout"

    with ExitStack() as running:
        servers = {name: running.enter_context(HostileServer(name)) for name in BEHAVIOURS}
        urls = {name: server.url() for name, server in servers.items()}
        urls["redirects"] = running.enter_context(redirect(servers["drips headers"])).url()
        urls["no handshake"] = urls["never answers"].replace("http:", "https:")
        at_once(list(urls), case)
        wait_for_threads()
        for behaviour, server in servers.items():
            with row(behaviour):
                assert server.sent < BUFFERED


@pytest.mark.parametrize("behaviour", ["a gigabyte unannounced", "drips the body", "body never comes"])
def test_no_body_is_waited_for(behaviour: str) -> None:
    with HostileServer(behaviour) as server:
        assert get(server.url()) == 200


def test_the_body_of_a_redirect_is_not_read() -> None:
    with HostileServer(answer(b"")) as target:
        head = f"HTTP/1.1 302 Found\r\nLocation: {target.url()}\r\n\r\n".encode()
        with HostileServer(flood(head)) as server:
            assert get(server.url(), redirects=1) == 200
            assert server.sent < BUFFERED


def test_a_proxy_that_opens_no_tunnel_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn = cycle([raw_then_silence(b""), drip(b"HTTP/1.1 200 ", b"O")])

    def case(host: str) -> None:
        for patience in (SHORT, 2.0, LONG):  # a busy machine is late to ask
            said, seconds = timed(partial(get, f"https://{host}/", patience))
            assert (said, seconds < patience + MARGIN) == ("timeout", True)
            if any(request.startswith(f"CONNECT {host}:443 ".encode()) for request in proxy.requests):
                return
        raise AssertionError(proxy.requests)

    with HostileServer(lambda server, peer: next(in_turn)(server, peer)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(""))
        at_once(["one.example", "other.example"], case)
        wait_for_threads()


def test_a_look_up_that_hangs_holds_nobody_and_leads_to_no_late_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up, released = socket.getaddrinfo, threading.Event()

    def hang(*given: Any, **named: Any) -> Any:
        released.wait()
        return look_up(*given, **named)

    with HostileServer(answer(b"")) as server:
        monkeypatch.setattr(socket, "getaddrinfo", hang)
        said, seconds = timed(lambda: get(server.url(), SHORT))
        assert (said, seconds < SHORT + MARGIN) == ("timeout", True)
        released.set()
        wait_for_threads()
        assert server.requests in ([], [b""])


def test_a_name_that_nobody_knows_is_said() -> None:
    assert get("http://nowhere.invalid/") == "dns"


def test_credentials_are_those_of_the_request_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login stranger password strange\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with HostileServer(answer(b"")) as target, redirect(target) as first:
        assert get(first.url(), redirects=1) == 200
        assert b"uthorization" not in first.requests[0] + target.requests[0]
        assert get(target.url(), headers=OWN) == 200
        assert b"Authorization: Bearer own\r\n" in target.requests[1]


def test_credentials_do_not_follow_to_another_place() -> None:
    with HostileServer(answer(b"")) as target, redirect(target) as first:
        assert get(first.url(), redirects=1, headers=OWN) == 200
    assert b"Bearer own" in first.requests[0]
    assert b"Bearer own" not in target.requests[0]


def test_headers_are_found_in_any_case() -> None:
    with HostileServer(answer(b"", headers="reTRY-after: 7\r\n")) as server:
        found = ask(Request(server.url()), LONG)
    assert found.headers.get("Retry-After") == "7"


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """A way to trust a certificate as the system does."""

    def trust_too(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        client._tls.cache_clear()

    yield trust_too
    client._tls.cache_clear()


@pytest.mark.parametrize(("name", "said"), [("localhost", 200), ("other.example", "tls")])
def test_a_certificate_must_be_trusted_by_the_system_and_fit(
    name: str, said: int | str, tmp_path: Path, trust: Callable[[Path], None]
) -> None:
    certificate = self_signed(tmp_path, name)
    with HostileServer(answer(b""), tls=server_tls(certificate)) as server:
        assert get(server.url(host="localhost")) == "tls"
        trust(certificate)
        assert get(server.url(host="localhost")) == said


@pytest.mark.parametrize("url", ["", "s3cret", "http://", "ftp://s3cret/", "http://s3cret:port/", "http://["])
def test_what_http_cannot_carry_is_unusable(url: str) -> None:
    assert get(url) == "unusable"
    assert get("http://127.0.0.1:9/", headers={"X-Line": "a\nb"}) == "unusable"
