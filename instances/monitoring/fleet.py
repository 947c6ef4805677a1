"""When it is not the instances: half of all hosts are bad, or dockmgr itself can't look at anything."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from datetime import datetime, timedelta

from django.conf import settings

from instances.health.response import Expect
from instances.http.probe import Address
from instances.incidents import lifecycle
from instances.incidents.hosts import HALF_ARE_BAD, MISCONFIGURED, WAVE, fleet_lingers, open_on_hosts
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import BLIND, FLEET
from instances.models import Incident, Instance
from instances.monitoring import host_rules
from instances.monitoring.alarms import end_or_wait, note_flapping, open_one, raise_alarm
from instances.outside import Outside

SELF_TEST = "self_test"
SELF_TEST_PATH = "/dockmgr-self-test"
FAILURES = 2  # self-tests in a row that must fail
CLEAN = timedelta(seconds=60)  # at least, without a failed self-test in any process until healing goes on
MARGIN = timedelta(seconds=30)
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"ok": true}'


def judge_fleet(now: datetime) -> None:
    """Raise or end the alarm about the fleet's hosts, by what the database knows of them."""
    bad, hosts = _bad_hosts(now)
    if host_rules.half_are_bad(bad, hosts):
        message = (
            f"{bad} of {hosts} hosts are in trouble: nothing is restarted anywhere until that has passed."
        )
        raise_alarm(Alarm(FLEET, FLEET, HALF_ARE_BAD, message), now)
        note_flapping(Incident.objects.filter(key=FLEET), now)
    elif (incident := open_one(FLEET)) and incident.cause == HALF_ARE_BAD:
        end_or_wait(FLEET, "fewer than half of the hosts are in trouble", now)


def _bad_hosts(now: datetime) -> tuple[int, int]:
    """How many hosts with instances are in trouble, and how many there are; usually none, and not counted.

    One in its grace is back, and one that is set up wrongly says nothing of the others. A wave is no
    trouble of the host's: customers can cause it, and its engine answers.
    """
    incidents = list(open_on_hosts())
    for incident in incidents:
        if incident.host_id is None:
            lifecycle.resolve(incident, "the host was removed", now)
    incidents = [row for row in incidents if row.resolve_at is None and row.cause != WAVE]
    if not incidents:
        return 0, 0
    with_instances = set(Instance.objects.active().values_list("host", flat=True).distinct())
    with_instances -= {incident.host_id for incident in incidents if incident.cause == MISCONFIGURED}
    return len(with_instances & {incident.host_id for incident in incidents}), len(with_instances)


class SelfTest:
    """One process's way of finding out whether it can look at anything at all."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._failures = 0

    def run(self) -> None:
        """Test, and raise the alarm about the fleet when it failed twice in a row.

        It ends by itself when no process has raised it for a minute, or for as long as a test may be away.
        """
        error = probe_oneself(self._outside, settings.PROBE_TIMEOUT)
        self._failures = self._failures + 1 if error else 0
        now = self._outside.clock.now()
        if self._failures >= FAILURES and (key := _key_of_self_test()):
            message = f"dockmgr's test of itself fails: {error} Nothing is restarted anywhere."
            raise_alarm(Alarm(key, FLEET, SELF_TEST, message, clean=_clean()), now)


def _clean() -> timedelta:
    """Until the next test has failed, too: engines are asked before it, and it takes its time."""
    between = timedelta(seconds=2 * settings.ENGINE_TIMEOUT + settings.PROBE_TIMEOUT)
    return max(CLEAN, between + MARGIN)


def _key_of_self_test() -> str:
    """What its incident is known by; empty while half of all hosts are in trouble, which says enough.

    While that has passed and its incident is open, because it flaps, nothing else would hold healing back.
    """
    incident = open_one(FLEET)
    if fleet_lingers() or open_one(BLIND):
        return BLIND
    return FLEET if incident is None or incident.cause == SELF_TEST else ""


def probe_oneself(outside: Outside, timeout: float) -> str:
    """Why this process can't look at a server of its own on loopback, or nothing when it can.

    Takes about `timeout` seconds at most.
    """
    try:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            server.settimeout(timeout)
            answering = threading.Thread(target=_answer_once, args=(server,), daemon=True)
            answering.start()
            port = server.getsockname()[1]
            address = Address(f"http://127.0.0.1:{port}{SELF_TEST_PATH}", Expect.JSON_OK)
            error = outside.probe(address, timeout).error
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            answering.join()
    except (OSError, RuntimeError) as trouble:  # no socket or no thread left
        return f"{getattr(trouble, 'strerror', None) or trouble}."
    return error


def _answer_once(server: socket.socket) -> None:
    with suppress(OSError):  # nobody came, or who came has left
        connection, _ = server.accept()
        with closing(connection):
            connection.settimeout(server.gettimeout())
            connection.recv(4096)
            connection.sendall(ANSWER)
