"""What one look makes of servers that do their worst."""

from __future__ import annotations

import tracemalloc

import pytest

from instances.health.response import Expect, Outcome
from tests.fast.timed import PATIENCE, timed_probe
from tests.hostile_server import HostileServer, answer
from tests.rows import at_once

OK, FAIL, STARTING = Outcome.OK, Outcome.FAIL, Outcome.STARTING


@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason", "status"),
    [
        ("ok json", OK, "", 200),
        ("ok without length", OK, "", 200),
        ("ok chunked", OK, "", 200),
        ("ok after interim answers", OK, "", 200),
        ("ok with bare line feeds", OK, "", 200),
        ("ok with a folded header", OK, "", 200),
        ("no content", OK, "", 204),
        ("plain text", OK, "", 200),
        ("starting", STARTING, "", 200),
        ("not ok", FAIL, "body_not_ok", 200),
        ("503", FAIL, "http_503", 503),
        ("503 whose body never comes", FAIL, "http_503", 503),
        ("another protocol from here on", FAIL, "http_101", 101),
        ("a gigabyte announced", FAIL, "too_large", 200),
        ("a gigabyte unannounced", FAIL, "too_large", 200),
        ("a gigabyte chunked", FAIL, "too_large", 200),
        ("a gigabyte in one chunk", FAIL, "too_large", 200),
        ("an endless header", FAIL, "bad_response", None),
        ("endless headers", FAIL, "bad_response", None),
        ("endless interim answers", FAIL, "bad_response", None),
        ("an endless chunk extension", FAIL, "bad_response", 200),
        ("another protocol", FAIL, "bad_response", None),
        ("garbage without a line end", FAIL, "bad_response", None),
        ("a garbage status", FAIL, "bad_response", None),
        ("a garbage header", FAIL, "bad_response", None),
        ("a negative length", FAIL, "bad_response", 200),
        ("a garbage length", FAIL, "bad_response", 200),
        ("two lengths", FAIL, "bad_response", 200),
        ("a very long length", FAIL, "bad_response", 200),
        ("a garbage chunk size", FAIL, "bad_response", 200),
        ("an unframed chunk", FAIL, "bad_response", 200),
        ("an empty line first", FAIL, "bad_response", None),
        ("closes at once", FAIL, "closed", None),
        ("closes inside the head", FAIL, "closed", None),
        ("closes inside the body", FAIL, "closed", 200),
        ("closes inside a chunk", FAIL, "closed", 200),
        ("resets", FAIL, "closed", None),
    ],
)
def test_an_answer_gets_its_outcome_without_waiting_for_the_timeout(
    behaviour: str, outcome: Outcome, reason: str, status: int | None
) -> None:
    with HostileServer(behaviour) as server:
        result = timed_probe(server.url())
    assert (result.outcome, result.reason, result.http_status) == (outcome, reason, status)
    assert result.latency_ms < PATIENCE * 1000 / 2


SLOW: list[tuple[str, int | None]] = [
    ("never answers", None),
    ("drips the status line", None),
    ("drips headers", None),
    ("drips the body", 200),
    ("drips without end", 200),
    ("drips chunks", 200),
    ("half a chunk, then silence", 200),
    ("body never comes", 200),
]


def test_a_slow_server_times_out_at_the_deadline() -> None:
    timeout = 0.2  # many are asked at once

    def case(row: tuple[str, int | None]) -> None:
        behaviour, status = row
        with HostileServer(behaviour) as server:
            result = timed_probe(server.url(), timeout)
        assert (result.outcome, result.reason, result.http_status) == (FAIL, "timeout", status)
        assert result.latency_ms >= timeout * 1000 - 1

    at_once(SLOW, case)


@pytest.mark.parametrize(
    "behaviour",
    ["a gigabyte announced", "a gigabyte unannounced", "a gigabyte chunked", "an endless header"],
)
def test_a_gigabyte_costs_less_than_a_megabyte_and_is_left_in_the_network(behaviour: str) -> None:
    with HostileServer(behaviour) as server:
        tracemalloc.start()
        try:
            timed_probe(server.url())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 1_000_000
    assert server.sent < 64 * 1024 * 1024


@pytest.mark.parametrize("size", [65_536, 65_537])
def test_a_body_may_be_64_kib_and_no_more(size: int) -> None:
    with HostileServer(answer(b" " * size)) as server:
        assert timed_probe(server.url()).reason == ("" if size == 65_536 else "too_large")


def test_the_version_is_reported() -> None:
    with HostileServer("ok json") as server:
        assert timed_probe(server.url()).version == "2026.2.19"


def test_the_plan_decides_how_strictly_the_body_is_read() -> None:
    with HostileServer("plain text") as server:
        assert timed_probe(server.url(), expect=Expect.JSON_OK).reason == "bad_json"
    with HostileServer("not ok") as server:
        assert timed_probe(server.url(), expect=Expect.HTTP_2XX).outcome == OK


def test_a_look_at_the_status_alone_does_not_wait_for_the_body() -> None:
    with HostileServer("drips the body") as server:
        result = timed_probe(server.url(), expect=Expect.HTTP_2XX)
    assert (result.outcome, result.http_status) == (OK, 200)


def test_a_redirect_is_not_followed() -> None:
    with HostileServer("redirect loop") as server:
        result = timed_probe(server.url())
    assert (result.outcome, result.reason, result.http_status) == (FAIL, "redirect", 302)
    assert len(server.requests) == 2  # one each way


def test_the_request_is_one_plain_get() -> None:
    with HostileServer(answer(b"", headers="Set-Cookie: a=b\r\n")) as server:
        for _ in range(2):
            assert timed_probe(server.url("/a path/ü?q=1%20\x7f#part")).outcome == OK
    assert server.requests[0] == server.requests[1]
    line, *headers = server.requests[0].decode("ascii").split("\r\n")
    assert line == "GET /a%20path/%C3%BC?q=1%20%7F HTTP/1.1"
    assert {f"Host: 127.0.0.1:{server.port}", "User-Agent: dockmgr", "Connection: close"} <= set(headers)
    assert not [header for header in headers if header.lower().startswith("cookie")]


def test_a_url_without_a_path_asks_for_the_root() -> None:
    with HostileServer("ok json") as server:
        assert timed_probe(server.url("")).outcome == OK
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")
