"""What a channel hears: of real outages, in real time, once each, whichever process is left to tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.demo_image import build
from dev.servers import EngineServer, docker_engine
from tests.real.fleet import Fleet, a_fleet
from tests.real.live import TAG, wait_until
from tests.receiver import Receiver

QUICKLY = {
    "DOCKMGR_SWEEP_INTERVAL": "3",
    "DOCKMGR_HOLD": "2",
    "DOCKMGR_HOST_ASK_INTERVAL": "1",
    "DOCKMGR_HOST_GRACE": "3",
    "DOCKMGR_WATCH_INTERVAL": "0.5",
    "DOCKMGR_RESTART_BACKOFF": "0.5",
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def fleet(
    tmp_path: Path, docker_url: str, broker_url: str, demo_image: str, receiver: Receiver
) -> Iterator[Fleet]:
    with a_fleet(tmp_path, docker_url, broker_url, demo_image, environ=QUICKLY, start_grace=2) as fleet:
        listen(fleet, receiver)
        yield fleet


def listen(fleet: Fleet, receiver: Receiver) -> None:
    """Tell the receiver everything."""
    channel = {"name": "ops", "url": receiver.url(), "min_level": "info"}
    done = fleet.run("apply", "-", stdin=json.dumps({"channels": [channel]}))
    assert done.returncode == 0, done.stderr


def heard(receiver: Receiver, kind: str = "instance") -> list[tuple[str, str, str]]:
    """Kind, level and customer of each message about incidents of a kind, in order."""
    return [
        (message["kind"], message["level"], message["customer_id"] or "")
        for message in receiver.accepted
        if message["incident_kind"] == kind
    ]


def about(receiver: Receiver, customer: str) -> list[tuple[str, str]]:
    return [(kind, level) for kind, level, who in heard(receiver) if who == customer]


def test_what_stays_broken_warns_and_then_is_critical_and_what_a_restart_heals_is_told_once(
    fleet: Fleet, receiver: Receiver
) -> None:
    fleet.provision_all("broken", "calm", "killed")
    with fleet.worker(), fleet.beat():
        fleet.container("killed").kill()
        fleet.inside("broken", "rm /srv/answer.sh")
        broken, killed = fleet.customer("broken"), fleet.customer("killed")
        receiver.wait_for(lambda r: ("escalated", "critical") in about(r, broken), 180)
        receiver.wait_for(lambda r: bool(about(r, killed)), 180)
        [incident] = fleet.json("incidents", "--open")
        fleet.run("ack", "--incident-id", str(incident["id"]))
        sweeps = "SELECT count(*) FROM instances_sweep WHERE state = 'finished'"
        seen = fleet.sql(sweeps)[0][0]
        wait_until(lambda: fleet.sql(sweeps)[0][0] >= seen + 2)
    assert about(receiver, broken) == [("opened", "warning"), ("escalated", "critical")]
    assert about(receiver, killed) == [("recovered", "info")]
    assert about(receiver, fleet.customer("calm")) == []
    ids = [message["id"] for message in receiver.accepted]
    assert len(ids) == len(set(ids))
    acked = fleet.json("incidents", "--customer-id", broken)[0]
    assert (acked["severity"], acked["acknowledged_by"].partition(":")[0]) == ("critical", "cli")


def test_beat_alone_tells_of_an_outage_that_lasts_while_no_worker_is_left(
    tmp_path: Path, docker_url: str, broker_url: str, demo_image: str, receiver: Receiver
) -> None:
    environ = {**QUICKLY, "DOCKMGR_CRITICAL_AFTER": "4"}
    with a_fleet(tmp_path, docker_url, broker_url, demo_image, environ=environ, start_grace=2) as fleet:
        listen(fleet, receiver)
        fleet.provision_all("forgotten")
        forgotten = fleet.customer("forgotten")
        fleet.inside("forgotten", "rm /srv/answer.sh")
        assert fleet.run("check_health", "--all").returncode == 1
        with fleet.beat():
            receiver.wait_for(lambda r: ("opened", "critical") in about(r, forgotten), 180)
        [incident] = fleet.json("incidents", "--customer-id", forgotten, "--events")
        assert "deadline" in [event["kind"] for event in incident["events"]]
        assert fleet.health("failures") == {"forgotten": 1}


@pytest.mark.thorough
def test_a_worker_alone_tells_that_sweeps_have_stopped_and_that_they_are_back(
    fleet: Fleet, receiver: Receiver
) -> None:
    fleet.provision_all("calm")
    finished = "SELECT count(*) FROM instances_sweep WHERE state = 'finished'"
    with fleet.worker():
        with fleet.beat():
            wait_until(lambda: fleet.sql(finished)[0][0] >= 2)
        receiver.wait_for(lambda r: heard(r, "self") == [("opened", "critical", "")], 180)
        with fleet.beat():
            receiver.wait_for(lambda r: len(heard(r, "self")) == 2, 180)
    assert heard(receiver, "self")[1][0] == "resolved"


@pytest.fixture
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineServer]:
    """A private engine, which may be stopped whatever engine the other tests share."""
    with docker_engine(tmp_path_factory.mktemp("own-engine"), {}) as server:
        build(server.url, TAG)
        yield server


def test_a_host_that_goes_is_one_message_and_its_return_another(
    home: Path, own_engine: EngineServer, broker_url: str, receiver: Receiver
) -> None:
    with a_fleet(home, own_engine.url, broker_url, TAG, environ=QUICKLY, start_grace=3) as fleet:
        listen(fleet, receiver)
        names = ("one", "two", "three")
        fleet.provision_all(*names)
        with fleet.worker(), fleet.beat():
            wait_until(lambda: fleet.sql("SELECT count(*) FROM instances_sweep")[0][0] >= 1)
            own_engine.stop()
            try:
                receiver.wait_for(lambda r: bool(heard(r, "host")), 180)
            finally:
                own_engine.start()
            receiver.wait_for(lambda r: len(heard(r, "host")) == 2, 180)
    assert [(kind, level) for kind, level, _ in heard(receiver, "host")] == [
        ("opened", "critical"),
        ("summary", "info"),
    ]
    assert instance_alarms(receiver) == []
    assert fleet_restarts(receiver.accepted) == []


def instance_alarms(receiver: Receiver) -> list[tuple[str, str, str]]:
    return [message for message in heard(receiver) if message[1] != "info"]


def fleet_restarts(messages: list[Any]) -> list[Any]:
    """Messages that tell of restarts: there is nothing to restart when a host was away."""
    return [message for message in messages if message["restarts"]]
