"""How one look finds and reaches its address: names, literals, the system's errors, TLS."""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from instances.health.response import Outcome
from instances.http import probe as probe_module
from instances.http.certificate import Certificate
from instances.http.probe import Address
from tests.fast.timed import PATIENCE, TIMEOUT, many_probes, timed_probe
from tests.hostile_server import HostileServer, self_signed, server_tls
from tests.rows import at_once

OK, FAIL, UNKNOWN = Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken but refuses connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_closed_port_is_refused(closed_port: int) -> None:
    result = timed_probe(f"http://127.0.0.1:{closed_port}/healthz")
    assert (result.outcome, result.reason, result.http_status) == (FAIL, "refused", None)
    assert result.error == "The connection was refused: nothing listens on the port."


@contextmanager
def full_backlog(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port where connecting never ends."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_proxy_variables_change_nothing(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
        monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{closed_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    with HostileServer("ok json") as server:
        assert timed_probe(server.url()).outcome == OK


def test_an_ipv6_literal_is_asked_as_such() -> None:
    with HostileServer("ok json") as server:
        assert timed_probe(server.url(host="[::ffff:127.0.0.1]")).outcome == OK
    assert f"Host: [::ffff:127.0.0.1]:{server.port}\r\n".encode() in server.requests[0]


def test_a_literal_needs_neither_name_service_nor_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("asked the name service"))
    with HostileServer("ok json") as server:
        assert timed_probe(server.url()).outcome == OK
        assert timed_probe(server.url(host="[::ffff:127.0.0.1]")).outcome == OK


def test_a_name_is_tried_at_each_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    with HostileServer("ok json") as server:
        assert timed_probe(server.url(host="several.example")).outcome == OK
    assert f"Host: several.example:{server.port}\r\n".encode() in server.requests[0]


def test_a_dead_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    with HostileServer("ok json") as server, full_backlog("127.0.0.2", server.port):
        assert timed_probe(server.url(host="several.example"), 4 * TIMEOUT).outcome == OK


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_localhost_is_resolved() -> None:
    with HostileServer("ok json") as server:
        assert timed_probe(server.url(host="localhost")).outcome == OK


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        (socket.EAI_NONAME, FAIL, "dns"),
        (socket.EAI_NODATA, FAIL, "dns"),
        (socket.EAI_AGAIN, UNKNOWN, "prober"),
        (socket.EAI_FAIL, UNKNOWN, "prober"),
        (socket.EAI_SYSTEM, UNKNOWN, "prober"),
    ],
)
def test_a_missing_name_is_the_instances_trouble_and_a_broken_resolver_ours(
    monkeypatch: pytest.MonkeyPatch, code: int, outcome: Outcome, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "resolver says so")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    result = timed_probe("http://customer.example/healthz")
    assert (result.outcome, result.reason) == (outcome, reason)


def test_no_thread_for_the_resolver_is_our_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert timed_probe("http://customer.example/healthz").outcome == UNKNOWN


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080/healthz",
        "ftp://127.0.0.1/",
        "http://",
        "http:///healthz",
        "http://[::1/",
        "http://127.0.0.1:port/",
        "http://127.0.0.1:70000/",
        "http://two words/",
        "http://nul\x00/",
        "http://a..b/",
        f"http://{'a' * 64}.example/",
    ],
)
def test_a_malformed_address_is_our_trouble(url: str) -> None:
    result = timed_probe(url)
    assert (result.outcome, result.reason) == (UNKNOWN, "prober")
    assert "address" in result.error


@pytest.mark.parametrize(
    ("scheme", "host"),
    [("https", "a..b"), ("https", "a" * 64), ("https", "b\u00fccher.example"),
     ("http", "b\u00fccher.example"), ("http", "a\r\nX: b")],
)  # fmt: skip
def test_so_is_a_malformed_host_to_ask_for(scheme: str, host: str) -> None:
    result = probe_module.probe(Address(f"{scheme}://127.0.0.1:9/healthz", host=host), PATIENCE)
    assert (result.outcome, result.reason) == (UNKNOWN, "prober")
    assert "host" in result.error


def test_http_asks_for_a_host_of_an_earlier_plan_that_no_machine_can_have() -> None:
    with HostileServer("ok json") as server:
        result = probe_module.probe(Address(server.url(), host="a..b"), TIMEOUT)
    assert (result.outcome, b"Host: a..b\r\n" in server.requests[0]) == (OK, True)


def test_no_descriptor_left_is_our_trouble() -> None:
    many_probes(PATIENCE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        result = timed_probe("http://127.0.0.1:9/healthz")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (result.outcome, result.reason) == (UNKNOWN, "prober")
    assert os.strerror(errno.EMFILE) in result.error


CONNECT_ERRORS = {
    errno.ECONNREFUSED: (FAIL, "refused"),
    errno.ETIMEDOUT: (FAIL, "timeout"),
    errno.ECONNRESET: (FAIL, "closed"),
    errno.ECONNABORTED: (FAIL, "closed"),
    errno.EPIPE: (FAIL, "closed"),
    errno.EHOSTUNREACH: (FAIL, "unreachable"),
    errno.ENETUNREACH: (FAIL, "unreachable"),
    errno.EMFILE: (UNKNOWN, "prober"),
    errno.ENFILE: (UNKNOWN, "prober"),
    errno.ENOBUFS: (UNKNOWN, "prober"),
    errno.ENOMEM: (UNKNOWN, "prober"),
    errno.EADDRNOTAVAIL: (UNKNOWN, "prober"),
    errno.EAFNOSUPPORT: (UNKNOWN, "prober"),
    errno.ENETDOWN: (UNKNOWN, "prober"),
    errno.EPERM: (UNKNOWN, "prober"),
}


@pytest.mark.parametrize("code", CONNECT_ERRORS, ids=lambda code: errno.errorcode[code])
def test_each_error_of_connect_has_its_reason(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    fail_to_connect(monkeypatch, {"127.0.0.1": code})
    result = timed_probe("http://127.0.0.1:9/healthz")
    assert (result.outcome, result.reason) == CONNECT_ERRORS[code]


@pytest.mark.parametrize("order", [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
def test_an_address_we_cannot_use_does_not_hide_one_that_refuses(
    monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    resolve_to(monkeypatch, *order)
    fail_to_connect(monkeypatch, {"127.0.0.1": errno.ECONNREFUSED, "127.0.0.2": errno.EADDRNOTAVAIL})
    assert timed_probe("http://customer.example/healthz").reason == "refused"


def fail_to_connect(monkeypatch: pytest.MonkeyPatch, codes: dict[str, int]) -> None:
    def connect(_: socket.socket, place: tuple[str, int]) -> None:
        raise OSError(codes[place[0]], os.strerror(codes[place[0]]))

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda _, place: codes[place[0]])


def test_no_connection_stays_open_after_a_failure(closed_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}/"
        for timeout in (PATIENCE, 0.05, 0.0, -1.0):
            many_probes(timeout)
        before = os.listdir("/proc/self/fd")
        for timeout in (0.05, 0.0, -1.0):
            assert timed_probe(f"http://{address}", timeout).reason == "timeout"
            assert timed_probe(f"https://{address}", timeout).reason == "timeout"
        assert timed_probe(f"http://127.0.0.1:{closed_port}/").reason == "refused"
        assert os.listdir("/proc/self/fd") == before


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A certificate for localhost and 127.0.0.1 that this process trusts."""
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    probe_module._tls_context.cache_clear()
    yield certificate
    probe_module._tls_context.cache_clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_trusted_certificate_is_accepted(trusted: Path, host: str) -> None:
    with HostileServer("ok json", tls=server_tls(trusted)) as server:
        result = timed_probe(server.url(host=host))
    assert (result.outcome, result.version) == (OK, "2026.2.19")
    assert result.places and "127.0.0.1" in result.places
    held = x509.load_pem_x509_certificate(trusted.read_bytes())
    assert result.certificate == Certificate(
        held.fingerprint(SHA256()).hex(), held.not_valid_before_utc, held.not_valid_after_utc
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_where_only_public_addresses_may_be_asked_a_private_one_is_not(host: str) -> None:
    with HostileServer("ok json") as server:
        result = probe_module.probe(Address(server.url(host=host), public_only=True), TIMEOUT)
    assert (result.outcome, result.reason, result.places) == (FAIL, "private_address", ())
    assert not server.requests


def test_of_a_name_s_addresses_only_the_public_ones_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    names = [(socket.AF_INET, 1, 6, "", (place, 80)) for place in ("10.0.0.1", "203.0.114.7", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: names)

    def dial(_family: int, place: tuple[str, int], _timeout: float) -> socket.socket:
        asked.append(place[0])
        raise ConnectionRefusedError(errno.ECONNREFUSED, "")

    monkeypatch.setattr(probe_module, "_dial", dial)
    result = probe_module.probe(Address("http://shop.example.com/", public_only=True), TIMEOUT)
    assert (result.reason, result.places, asked) == ("refused", ("203.0.114.7",), ["203.0.114.7"])


def test_a_self_signed_certificate_is_a_tls_failure(tmp_path: Path) -> None:
    with HostileServer("ok json", tls=server_tls(self_signed(tmp_path))) as server:
        result = timed_probe(server.url())
    assert (result.outcome, result.reason, result.http_status) == (FAIL, "tls", None)
    assert "self" in result.error and "signed" in result.error
    assert not server.requests


def test_a_trusted_certificate_for_another_name_is_a_tls_failure(
    tmp_path: Path, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = self_signed(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with HostileServer("ok json", tls=server_tls(other)) as server:
        result = timed_probe(server.url())
    assert result.reason == "tls"
    assert "not valid for '127.0.0.1'" in result.error


def test_a_plain_server_on_a_tls_port_is_a_tls_failure() -> None:
    with HostileServer("plain text") as server:
        result = timed_probe(server.url().replace("http:", "https:"))
    assert (result.outcome, result.reason) == (FAIL, "tls")


def a_full_backlog() -> None:
    with full_backlog() as port:
        assert timed_probe(f"http://127.0.0.1:{port}/", TIMEOUT).reason == "timeout"


def a_silent_resolver() -> None:
    result = timed_probe("http://silent.example/healthz", TIMEOUT)
    assert (result.outcome, result.reason) == (UNKNOWN, "prober")
    assert "name service" in result.error


def a_port_that_accepts_but_never_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert timed_probe(f"https://127.0.0.1:{silent.getsockname()[1]}/", TIMEOUT).reason == "timeout"


def test_each_way_to_an_address_ends_in_time(monkeypatch: pytest.MonkeyPatch, trusted: Path) -> None:
    release = threading.Event()

    def a_dripping_tls_server() -> None:
        with HostileServer("drips the body", tls=server_tls(trusted)) as server:
            assert timed_probe(server.url(), TIMEOUT).reason == "timeout"

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60) and [])
    ways = [
        a_full_backlog, a_silent_resolver, a_port_that_accepts_but_never_shakes_hands, a_dripping_tls_server,
    ]  # fmt: skip
    try:
        at_once(ways, lambda way: way())
    finally:
        release.set()
