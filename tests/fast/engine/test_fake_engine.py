"""The fake engine keeps the promises, and its switches do what tests expect of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from instances.containers.spec import ContainerSpec
from instances.errors import EngineUnreachable, NotFoundOnEngine, PortTaken, TransientError
from tests.engine_promises import EnginePromises, LogOf, MakeSpec, facts_of
from tests.fakes.engine import FakeEngine
from tests.fakes.facts import image_facts

IMAGE = "agent:1"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine(clock=lambda: NOW)
    engine.images[IMAGE] = image_facts("one")
    return engine


@pytest.fixture
def make_spec() -> MakeSpec:
    serial = itertools.count(1)

    def make(**changes: Any) -> ContainerSpec:
        name = f"dockmgr-c{next(serial)}"
        usual: dict[str, Any] = {
            "name": name,
            "image": IMAGE,
            "labels": {"dockmgr.managed": "true"},
            "env": {"TOKEN": "t"},
            "volumes": {f"{name}-data": "/data"},
        }
        return ContainerSpec(**{**usual, **changes})

    return make


@pytest.fixture
def log_of(engine: FakeEngine, make_spec: MakeSpec) -> LogOf:
    def write(data: bytes) -> str:
        name = make_spec().name
        engine.create(make_spec(name=name))
        engine.write_log(name, data)
        return name

    return write


@pytest.fixture
def missing_source(engine: FakeEngine) -> str:
    engine.missing_sources.add("/no/such/folder")
    return "/no/such/folder"


@pytest.fixture
def lose_network(engine: FakeEngine) -> Callable[[str], None]:
    return lambda name: engine.networks.__delitem__(name)


@pytest.fixture
def leave_network(engine: FakeEngine) -> Callable[[str, str], None]:
    return lambda container, _: engine.change(container, networks={})


@pytest.fixture
def unreachable_image(engine: FakeEngine) -> str:
    engine.registry_down = True
    return "registry.invalid/agent:2"


@pytest.fixture
def unknown_image() -> str:
    return "agent:unknown"


class TestFakeEngine(EnginePromises):
    """All promises, against the fake."""


def test_a_pull_brings_what_the_registry_has_now(engine: FakeEngine) -> None:
    engine.registry[IMAGE] = image_facts("two", labels={"version": "2"})
    heard: list[str] = []
    assert engine.pull(IMAGE, heard.append) == engine.image(IMAGE) == engine.registry[IMAGE]
    assert engine.pulls == [IMAGE]
    assert heard


CALLS: list[Callable[[FakeEngine], object]] = [
    lambda engine: engine.ping(),
    lambda engine: engine.list_containers(),
    lambda engine: engine.inspect("x"),
    lambda engine: engine.start("x"),
    lambda engine: engine.remove("x"),
    lambda engine: engine.logs("x", lines=1),
]


@pytest.mark.parametrize("call", CALLS)
def test_an_unreachable_engine_answers_nothing(
    engine: FakeEngine, call: Callable[[FakeEngine], object]
) -> None:
    engine.unreachable = True
    with pytest.raises(EngineUnreachable):
        call(engine)


def test_a_planned_failure_happens_once_and_does_nothing(engine: FakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    engine.create(spec)
    engine.fail_next("start", TransientError("busy"))
    with pytest.raises(TransientError, match="busy"):
        engine.start(spec.name)
    assert facts_of(engine, spec.name).state == "created"
    engine.start(spec.name)
    assert engine.starts == {spec.name: 1}


def test_a_failure_cannot_be_planned_for_a_call_that_does_not_exist(engine: FakeEngine) -> None:
    with pytest.raises(AttributeError):
        engine.fail_next("restart", TransientError("busy"))


def test_what_happens_to_a_container_shows_until_it_starts_again(
    engine: FakeEngine, make_spec: MakeSpec
) -> None:
    spec = make_spec()
    engine.create(spec)
    engine.change(spec.name, state="exited", exit_code=137, oom_killed=True, restart_count=43)
    facts = facts_of(engine, spec.name)
    assert (facts.state, facts.exit_code, facts.oom_killed, facts.restart_count) == ("exited", 137, True, 43)
    engine.start(spec.name)
    facts = facts_of(engine, spec.name)
    assert (facts.state, facts.exit_code, facts.oom_killed, facts.restart_count) == (
        "running",
        None,
        False,
        0,
    )
    assert facts.started_at == NOW


def test_a_lost_container_is_missing(engine: FakeEngine, make_spec: MakeSpec) -> None:
    spec = make_spec()
    engine.create(spec)
    engine.lose(spec.name)
    assert engine.inspect(spec.name) is None
    with pytest.raises(NotFoundOnEngine):
        engine.start(spec.name)


def test_a_port_held_by_something_else_is_taken_on_every_address(
    engine: FakeEngine, make_spec: MakeSpec
) -> None:
    engine.taken_ports.add(("0.0.0.0", 9000))
    spec = make_spec(host_port=9000)
    engine.create(spec)
    with pytest.raises(PortTaken):
        engine.start(spec.name)
    assert engine.starts == {}
