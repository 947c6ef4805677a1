"""500 instances on one host that dies, beside three real ones: a message when it goes, one at its return."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_django.fixtures import Settings

from instances.alerts import delivery_rules, outbox
from instances.checks.due import claim_due
from instances.checks.roster import Roster
from instances.engine.pool import EngineAddress, Engines, connect
from instances.engine.port import Engine
from instances.fleet import sweep as sweeping
from instances.http.probe import Address, ProbeResult, probe
from instances.lib.clock import SYSTEM
from instances.models import Channel, Health, Host, Incident, Instance, Operation, Plan
from instances.monitoring.loop import Monitor
from instances.operations import service
from instances.operations.procedures import provision, restart
from instances.outside import Outside
from tests.factories import ASKED, IMAGE, World
from tests.fakes.outside import FakeOutside, fails, fake_outside
from tests.real.live import docker_client, wait_until
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 500
BROKEN = 12
FAKE_ADDRESS = "127.0.0.99"  # nothing listens there; what is probed there is answered by the fake


def mixed(fake: FakeOutside, docker_url: str) -> Outside:
    """The real outside, but for the engine and the probes of the host with many."""

    def engine(address: EngineAddress) -> Engine:
        return connect(address) if address.url == docker_url else fake.engines.at(address)

    def look(address: Address, timeout: float) -> ProbeResult:
        asks = fake.probe if urlsplit(address.url).hostname == FAKE_ADDRESS else probe
        return asks(address, timeout)

    return Outside(engines=Engines(engine), clock=SYSTEM, probe=look)


@pytest.fixture
def quick(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (outbox, delivery_rules):
        monkeypatch.setattr(module, "WINDOW", timedelta(seconds=3))
    settings.STATE_FILE = tmp_path / "state.json"
    settings.HOST_ASK_INTERVAL = settings.RECHECK_INTERVAL = settings.RESTART_BACKOFF = 0.5
    settings.HOST_GRACE, settings.HOLD, settings.WATCH_INTERVAL = 6.0, 0.5, 0.2


@pytest.fixture
def receiver(quick: None) -> Iterator[Receiver]:
    with Receiver() as receiver:
        Channel.objects.create(name="ops", url=receiver.url(), min_level="warning")
        yield receiver


@pytest.fixture
def fake() -> FakeOutside:
    fake = fake_outside()
    return fake


@pytest.fixture
def world(fake: FakeOutside) -> World:
    """500 healthy instances on the fake engine."""
    plan, _ = Plan.objects.update_or_create(name="free", defaults={"image": IMAGE, "start_grace": 1})
    host = Host.objects.create(name="many", docker_url="unix:///fake/many.sock", address=FAKE_ADDRESS)
    fake.clock.advance((SYSTEM.now() - fake.clock.now()).total_seconds())
    world = World(fake, plan, host)
    for number in range(MANY):
        world.instance(f"many-{number:03}")
    return world


@pytest.fixture
def outside(world: World, docker_url: str) -> Outside:
    return mixed(world.outside, docker_url)


@pytest.fixture
def real_ones(outside: Outside, docker_url: str, demo_image: str) -> Iterator[list[str]]:
    """Three instances in real containers."""
    Host.objects.update_or_create(name="local", defaults={"docker_url": docker_url})
    Plan.objects.create(name="real", image=demo_image, cpus=0.2, memory=64 * 1024**2, start_grace=8)
    names = [f"real-{uuid.uuid4().hex[:6]}-{number}" for number in range(3)]
    try:
        for name in names:
            order = provision.ProvisionRequest(name, f"{name}.example.com", "real", {}, host="local")
            operation = service.begin_provision(order, ASKED, outside)
            assert service.run_to_end(operation.pk, outside).status == "succeeded"
        yield names
    finally:
        with docker_client(docker_url) as client:
            for name in names:
                for container in client.containers.list(all=True, filters={"name": f"dockmgr-{name}"}):
                    container.remove(force=True)
                for volume in client.volumes.list(filters={"name": f"dockmgr-{name}"}):
                    volume.remove(force=True)


class Working:
    """What workers and the watch do, round by round, in this process; restarts are only ordered."""

    def __init__(self, outside: Outside) -> None:
        self._outside, self._watch = outside, Monitor(outside)

    def check(self, roster: Roster) -> None:
        for recorded in sweeping.check_here(roster, self._outside):
            if recorded.verdict and recorded.verdict.restart:
                restart.begin_automatic(recorded.check.request.instance_id, SYSTEM.now())

    def sweep(self) -> None:
        self.check(Roster.of_active())

    def until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Work until something is true."""

        def worked() -> bool:
            due = claim_due(SYSTEM.now())
            if due:
                self.check(due)
            self._watch.round()
            outbox.deliver(SYSTEM)
            return done()

        wait_until(worked, seconds)


def messages(receiver: Receiver) -> list[Any]:
    """What was told, digests taken apart."""
    told: list[Any] = []
    for message in receiver.accepted:
        told += message["messages"] if message["kind"] == "digest" else [message]
    return told


def test_a_host_of_500_goes_and_comes_back_with_12_broken(
    world: World, outside: Outside, real_ones: list[str], receiver: Receiver
) -> None:
    working = Working(outside)
    world.engine.unreachable = True
    world.probe.answers = {port: fails("timeout") for port in world_ports()}
    working.sweep()
    working.until(lambda: bool(receiver.accepted))
    [gone] = receiver.accepted
    assert (gone["level"], gone["incident_kind"], gone["host"]) == ("critical", "host", "many")
    assert statuses() == {"unknown": MANY, "healthy": len(real_ones)}

    world.probe.answers = {port: fails("http_503") for port in world_ports()[:BROKEN]}
    answers_again = SYSTEM.now()
    world.engine.unreachable = False
    working.until(lambda: len(about_instances(receiver)) >= BROKEN)
    summary, *rest = messages(receiver)[1:]
    assert (summary["kind"], summary["incident_kind"], summary["level"]) == ("summary", "host", "info")
    assert f"{BROKEN} of {MANY} instances of host many are still down" in summary["message"]
    assert {message["customer_id"] for message in rest} == {f"many-{n:03}" for n in range(BROKEN)}
    assert Incident.objects.filter(kind="instance").count() == BROKEN
    assert not Operation.objects.filter(kind="restart", created_at__lt=answers_again).exists()
    assert Counter(message["incident_kind"] for message in messages(receiver))["host"] == 2


def world_ports() -> list[int]:
    rows = Instance.objects.filter(host__name="many").order_by("customer_id")
    return [port for port in rows.values_list("port", flat=True) if port]


def statuses() -> dict[str, int]:
    return dict(Counter(Health.objects.values_list("status", flat=True)))


def about_instances(receiver: Receiver) -> list[Any]:
    return [message for message in messages(receiver) if message["incident_kind"] == "instance"]
