"""Questions beyond a plain GET: another host, headers, statuses, certificates, and a bare connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from instances.health.response import Outcome
from instances.http.probe import Address, probe
from tests.fast.timed import PATIENCE
from tests.hostile_server import HostileServer, answer, self_signed, server_tls


def test_host_and_headers_are_sent_as_the_plan_says() -> None:
    with HostileServer("ok json") as server:
        asked = Address(
            server.url("/up"), host="c1.example.com", headers={"X-Token": "t", "Accept": "text/html"}
        )
        assert probe(asked, PATIENCE).outcome is Outcome.OK
    [request] = server.requests
    lines = request.decode().split("\r\n")
    assert lines[:2] == ["GET /up HTTP/1.1", "Host: c1.example.com"]
    assert {"X-Token: t", "Accept: text/html", "Connection: close"} <= set(lines)
    assert "Accept: */*" not in lines
    assert "X-Token" not in repr(asked)


@pytest.mark.parametrize(
    ("status", "wanted", "outcome"),
    [("401 No", (401,), Outcome.OK), ("302 Found", (302,), Outcome.OK), ("401 No", (200,), Outcome.FAIL)],
)
def test_a_login_or_a_redirect_can_be_what_is_wanted(
    status: str, wanted: tuple[int, ...], outcome: Outcome
) -> None:
    with HostileServer(answer(b"", status)) as server:
        assert probe(Address(server.url(), status=wanted), PATIENCE).outcome is outcome


def test_a_certificate_is_doubted_unless_the_plan_says_otherwise(tmp_path: Path) -> None:
    with HostileServer("ok json", tls=server_tls(self_signed(tmp_path))) as server:
        assert probe(Address(server.url()), PATIENCE).reason == "tls"
        assert probe(Address(server.url(), tls_verify=False), PATIENCE).outcome is Outcome.OK


@contextmanager
def listening(behave: Callable[[socket.socket], object]) -> Iterator[int]:
    """Somebody takes a connection and behaves so; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: behave(listener.accept()[0]))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def close(peer: socket.socket) -> None:
    peer.close()


def greet(peer: socket.socket) -> None:
    with peer:
        peer.sendall(b"220 hello\r\n")


def wait(peer: socket.socket) -> None:
    with peer:
        peer.settimeout(PATIENCE)
        peer.recv(1)


@pytest.mark.parametrize(
    ("behave", "outcome", "reason"),
    [(close, Outcome.FAIL, "closed"), (greet, Outcome.OK, ""), (wait, Outcome.OK, "")],
)
def test_a_connection_must_stay_open(
    behave: Callable[[socket.socket], object], outcome: Outcome, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if behave is wait:
        monkeypatch.setattr("instances.http.probe.SILENCE", 0.05)
    began = time.monotonic()
    with listening(behave) as port:
        result = probe(Address(f"tcp://127.0.0.1:{port}"), PATIENCE)
    assert (result.outcome, result.reason, result.http_status) == (outcome, reason, None)
    assert time.monotonic() - began < PATIENCE / 2


def test_a_port_nobody_listens_on_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert probe(Address(f"tcp://127.0.0.1:{port}"), PATIENCE).reason == "refused"
