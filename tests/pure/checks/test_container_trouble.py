"""When a container's own state is a failure, what a look at an instance sees, and which version it has."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from msgspec import structs

from instances.checks import trust
from instances.checks.check_requests import request_as_listed
from instances.checks.observe import container_trouble, observe
from instances.containers.facts import ContainerFacts
from instances.engine.pool import Engines
from instances.errors import DockmgrError, TransientError
from instances.health.response import VERSION_LENGTH, Outcome
from instances.health.state import HARD_REASONS
from instances.http.probe import Address, ProbeResult
from instances.lib.clock import Clock
from instances.models import Host, Instance, Plan
from instances.outside import Outside
from tests.fakes.engine import FakeEngine
from tests.fakes.facts import image_facts
from tests.pure.moments import at

IMAGE = "agent:2026.2.19"
NOW = at(1000)


class StandingClock(Clock):
    def now(self) -> datetime:
        return NOW


def an_instance(**changes: object) -> Instance:
    plan = Plan(pk=1, name="pro", image=IMAGE)
    host = Host(pk=1, name="local", docker_url="unix:///nowhere.sock")
    values = {"pk": 1, "customer_id": "user123", "subdomain": "user123", "port": 20001, **changes}
    return Instance(plan=plan, host=host, **values)


class World:
    """One instance on one engine; `http` is what the probe sees, `probed` counts its looks."""

    def __init__(self, *, labels: dict[str, str] | None = None, image: str = "") -> None:
        self.engine = FakeEngine(lambda: at(0))
        self.instance = an_instance(image=image)
        self.engine.images[self.instance.image_ref] = image_facts("one", labels=labels or {})
        self.engine.create_network(self.instance.host.network, {}, {})
        self.instance.container_id = self.engine.create(self.instance.spec())
        self.name = self.instance.container_name
        self.engine.start(self.name)
        self.http = ProbeResult(Outcome.OK, "", 200, 3, None, "")
        self.probed = 0
        self.engines = Engines(lambda _address: self.engine)

    def probe(self, _address: Address, _timeout: float) -> ProbeResult:
        self.probed += 1
        return self.http

    def refuse(self) -> None:
        self.http = ProbeResult(Outcome.FAIL, "refused", None, 1, None, "Refused.")

    def facts(self, **changes: object) -> ContainerFacts:
        facts = self.engine.inspect(self.name)
        assert facts is not None
        return replace(facts, **changes)  # type: ignore[arg-type]

    def look(self, *, stale_list: bool = False) -> tuple[Outcome, str]:
        request = request_as_listed(self.instance, self.engines)
        request = structs.replace(request, listed="running") if stale_list else request
        seen = observe(request, Outside(self.engines, StandingClock(), self.probe), 5.0).seen
        self.seen = seen
        return seen.outcome, seen.reason


# name: (state, OOM-killed, restarts by the engine, seconds since its start, reason)
TROUBLES: dict[str, tuple[str, bool, int, float | None, str]] = {
    "running": ("running", False, 0, 1, ""),
    "running for long after crashes": ("running", False, 43, 3600, ""),
    "running, a child was OOM-killed": ("running", True, 0, 3600, ""),
    "paused by hand": ("paused", False, 0, 3600, ""),
    "exited": ("exited", False, 0, 3600, "exited"),
    "dead": ("dead", False, 0, 3600, "exited"),
    "never started": ("created", False, 0, None, "exited"),
    "being removed": ("removing", False, 0, 3600, "exited"),
    "out of memory": ("exited", True, 0, 3600, "oom_killed"),
    "out of memory, started again by the engine": ("restarting", True, 1, 3600, "oom_killed"),
    "started again once": ("restarting", False, 1, 1, ""),
    "started again twice": ("restarting", False, 2, 1, ""),
    "started again three times": ("restarting", False, 3, 1, "crash_loop"),
    "started again 3,320 times": ("restarting", False, 3320, None, "crash_loop"),
    "just up after three crashes": ("running", False, 3, 29, "crash_loop"),
    "up for a while after three crashes": ("running", False, 3, 30, ""),
    "just up after two crashes": ("running", False, 2, 1, ""),
}


@pytest.mark.parametrize(
    ("state", "oom", "restarts", "age", "reason"), TROUBLES.values(), ids=TROUBLES.keys()
)
def test_a_containers_own_state_is_a_failure_when_it_does_not_run(
    state: str, oom: bool, restarts: int, age: float | None, reason: str
) -> None:
    started = None if age is None else NOW - timedelta(seconds=age)
    facts = World().facts(state=state, oom_killed=oom, restart_count=restarts, started_at=started)
    assert container_trouble(facts, NOW) == reason
    assert not reason or reason in HARD_REASONS


def test_a_container_that_is_not_there_is_missing() -> None:
    assert container_trouble(None, NOW) == "missing"


def test_an_answer_is_enough_and_the_engine_is_not_asked() -> None:
    world = World()
    world.engine.fail_next("inspect", TransientError("asked"))
    assert world.look() == (Outcome.OK, "")


@pytest.mark.parametrize("outcome", [Outcome.STARTING, Outcome.UNKNOWN])
def test_starting_and_our_own_trouble_come_through(outcome: Outcome) -> None:
    world = World()
    world.http = ProbeResult(outcome, "", 200, 1, None, "")
    assert world.look() == (outcome, "")


def test_a_running_container_that_is_not_well_tells_when_it_was_started() -> None:
    world = World()
    for outcome, reason in ((Outcome.FAIL, "refused"), (Outcome.STARTING, "")):
        world.http = ProbeResult(outcome, reason, None, 1, None, reason)
        assert world.look() == (outcome, reason)
        assert (world.seen.container_started_at, world.seen.container_state) == (at(0), "running")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "exited"}, "exited"),
        ({"state": "dead"}, "exited"),
        ({"state": "exited", "oom_killed": True}, "oom_killed"),
        ({"state": "restarting", "restart_count": 5}, "crash_loop"),
    ],
    ids=["exited", "dead", "out of memory", "crash loop"],
)
@pytest.mark.parametrize("stale_list", [False, True])
def test_a_container_that_does_not_run_is_the_reason_of_the_failure(
    changes: dict[str, object], reason: str, stale_list: bool
) -> None:
    world = World()
    world.refuse()
    world.engine.change(world.name, **changes)
    assert world.look(stale_list=stale_list) == (Outcome.FAIL, reason)
    assert world.probed == int(stale_list)
    assert world.seen.error


@pytest.mark.parametrize("stale_list", [False, True])
def test_a_container_that_is_gone_is_missing(stale_list: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "stakes_on", lambda host_id: [])
    world = World()
    world.refuse()
    world.engine.lose(world.name)
    assert world.look(stale_list=stale_list) == (Outcome.FAIL, "missing")


def test_a_container_that_was_started_since_the_list_is_probed() -> None:
    world = World()
    request = request_as_listed(world.instance, world.engines)
    seen = observe(
        structs.replace(request, listed="exited"), Outside(world.engines, probe=world.probe), 5.0
    ).seen
    assert (seen.outcome, world.probed) == (Outcome.OK, 1)


def test_only_a_container_that_ended_skips_the_rechecks() -> None:
    world = World()
    world.refuse()
    world.engine.change(world.name, state="restarting", restart_count=1)
    outcome, reason = world.look()
    assert outcome is Outcome.FAIL and reason not in HARD_REASONS


@pytest.mark.parametrize("error", [None, TransientError("The engine stumbled.")], ids=["away", "stumbling"])
def test_a_failure_on_a_host_whose_engine_is_in_trouble_is_unknown(error: DockmgrError | None) -> None:
    world = World()
    world.refuse()
    world.engine.unreachable = error is None
    if error:
        world.engine.fail_next("inspect", error)
    outcome, _ = world.look()
    assert outcome is Outcome.UNKNOWN and world.seen.error


def test_an_instance_that_answers_is_healthy_although_its_engine_is_away() -> None:
    world = World()
    world.engine.unreachable = True
    assert world.look() == (Outcome.OK, "")


LABEL = "org.opencontainers.image.version"

# name: (answered, label of the image, reference, version seen)
VERSIONS: dict[str, tuple[str | None, str | None, str, str | None]] = {
    "answered": ("3", "2", "agent:1", "3"),
    "label": (None, "2", "agent:1", "2"),
    "tag": (None, None, "agent:1", "1"),
    "an empty label": (None, "", "agent:1", "1"),
    "tag behind a port": (None, None, "registry:5000/agent:1.2", "1.2"),
    "a port and no tag": (None, None, "registry:5000/agent", None),
    "no tag": (None, None, "agent", None),
    "latest": (None, None, "agent:latest", None),
    "digest": (None, None, "agent@sha256:" + "0a" * 32, None),
    "tag and digest": (None, None, "agent:1.2@sha256:" + "0a" * 32, "1.2"),
    "an image id": (None, None, "sha256:" + "0a" * 32, None),
}


@pytest.mark.parametrize(("answered", "label", "image", "version"), VERSIONS.values(), ids=VERSIONS.keys())
def test_a_version_comes_from_the_answer_else_the_label_else_the_tag(
    answered: str | None, label: str | None, image: str, version: str | None
) -> None:
    world = World(labels={} if label is None else {LABEL: label}, image=image)
    world.http = structs.replace(world.http, version=answered)
    world.look()
    assert world.seen.version == version


@pytest.mark.parametrize("image", ["agent:1", "agent:" + "v" * 128], ids=["by its label", "by its tag"])
def test_a_long_version_is_cut_to_what_is_stored(image: str) -> None:
    world = World(labels={LABEL: "v" * 300} if image == "agent:1" else {}, image=image)
    world.look()
    assert world.seen.version == "v" * VERSION_LENGTH


def test_without_a_list_the_tag_still_tells_the_version() -> None:
    world = World()
    world.engine.unreachable = True
    request = request_as_listed(world.instance, world.engines)
    assert (request.version, request.listed) == ("2026.2.19", None)
