"""The heartbeat: one bounded request after a sweep, and never a word of where it goes."""

from __future__ import annotations

import socket
import time

import pytest
from pytest_django.fixtures import Settings

from instances.checks import sweeps
from instances.checks.record import record
from instances.errors import OutOfReachError
from instances.models import Sweep
from instances.monitoring.heartbeat import ping
from tasks import checks, heartbeat
from tests.factories import World, a_check
from tests.fast.tasks.test_tasks import Sent, registered
from tests.hostile_server import Behaviour, HostileServer, answer, close_at_once, drip, raw

PATH = "/s3cret-check-id"
BOUND, PATIENCE = 0.1, 30.0  # for monitors that never end, and for those that do
MARGIN = 10.0


def redirect(to: str) -> HostileServer:
    return HostileServer(answer(b"", "302 Found", f"Location: {to}\r\n"))


def redirect_for_ever(server: HostileServer, peer: socket.socket) -> None:
    answer(b"", "302 Found", f"Location: {server.url('/again')}\r\n")(server, peer)


def test_an_answer_of_2xx_is_a_heartbeat(caplog: pytest.LogCaptureFixture) -> None:
    with HostileServer(answer(b"OK")) as monitor:
        assert ping(monitor.url(PATH))
    assert caplog.text == ""


def test_without_a_url_nobody_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    assert not ping("")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("behaviour", "said", "seconds"),
    [
        (answer(b"", "500 Internal Server Error"), "answered 500", PATIENCE),
        (close_at_once, "can't be reached: closed", PATIENCE),
        (redirect_for_ever, "answered 302", PATIENCE),
        (raw(b"nonsense\r\n\r\n"), "can't be reached: bad_response", PATIENCE),
        (drip(b"HTTP/1.1 200 OK\r\n", b"X"), "did not answer in time", BOUND),
    ],
)
def test_a_failure_is_one_line_without_the_url(
    behaviour: Behaviour, said: str, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    with HostileServer(behaviour) as monitor:
        began = time.monotonic()
        assert not ping(monitor.url(PATH), seconds)
        assert time.monotonic() - began < seconds + MARGIN
    [record] = caplog.records
    assert record.getMessage() == f"The heartbeat URL {said} (DOCKMGR_HEARTBEAT_URL)."


@pytest.mark.parametrize("url", ["s3cret", "http://", "ftp://s3cret/", "http://s3cret:port/"])
def test_what_is_no_url_is_said_without_it(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not ping(url, BOUND)
    assert "can't be reached" in caplog.text
    assert "s3cret" not in caplog.text


def test_one_redirect_is_followed_and_no_second() -> None:
    with HostileServer(answer(b"OK")) as monitor, redirect(monitor.url(PATH)) as first:
        assert ping(first.url(PATH))
        with redirect(first.url(PATH)) as second:
            assert not ping(second.url(PATH))


def test_proxies_of_the_environment_are_used_for_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(answer(b"OK")) as monitor, redirect(monitor.url(PATH)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ping("http://monitor.example/ping")
        assert proxy.requests[0].startswith(b"GET http://monitor.example/ping HTTP/1.1\r\n")
        assert monitor.requests[0].startswith(b"GET /s3cret-check-id HTTP/1.1\r\n")


@pytest.mark.django_db
def test_a_finished_sweep_has_the_workers_ping(world: World, settings: Settings, sent: Sent) -> None:
    settings.HEARTBEAT_URL = "http://127.0.0.1:9/secret"
    instance = world.instance()
    row = sweeps.start(world.now, 900)
    Sweep.objects.update(total=1)
    checks.commit([a_check(world, instance, sweep_id=str(row.pk))])
    [message] = sent("notifications")
    assert (message.task, message.kwargs) == ("dockmgr.ping_heartbeat", {})
    assert "secret" not in message.everything
    record([], world.now)
    assert sent("notifications") == []


@pytest.mark.django_db
def test_a_sweep_of_nobody_is_a_heartbeat_too(world: World, settings: Settings, sent: Sent) -> None:
    checks.sweep()
    assert sent("notifications") == []
    settings.HEARTBEAT_URL = "http://127.0.0.1:9/secret"
    world.clock.advance(900)
    checks.sweep()
    assert len(sent("notifications")) == 1


def test_a_broker_that_is_away_stops_no_sweep(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(**_: object) -> None:
        raise OutOfReachError("The broker can't be reached (DOCKMGR_BROKER_URL).")

    settings.HEARTBEAT_URL = "http://127.0.0.1:9/secret"
    monkeypatch.setattr(heartbeat.ping_heartbeat, "apply_async", away)
    heartbeat.announce_sweep()
    assert "The broker can't be reached" in caplog.text


def test_the_task_pings_the_configured_url(settings: Settings) -> None:
    with HostileServer(answer(b"OK")) as monitor:
        settings.HEARTBEAT_URL = monitor.url(PATH)
        registered("dockmgr.ping_heartbeat").apply(throw=True)
        assert monitor.requests
