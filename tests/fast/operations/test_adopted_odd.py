"""Adopted containers ask for what dockmgr never asks for: whatever it is, a change ends, and in words."""

from __future__ import annotations

import pytest

from instances.errors import PortTaken
from tests.factories import World
from tests.fakes.facts import image_facts
from tests.fast.conftest import Run
from tests.fast.strangers import NAME, adopted, facts_of
from tests.fast.updates import update

pytestmark = pytest.mark.django_db

NEWER = "registry.example.com/agent:2.0"


def test_a_taken_port_is_told_as_that_also_where_a_range_was_asked_for(world: World, run: Run) -> None:
    ports = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "30000-30010"}]}
    instance = adopted(world, run, PortBindings=ports)
    world.engine.registry[NEWER] = image_facts("agent-2")
    world.engine.fail_next("start", PortTaken("Port 30000 of 127.0.0.1 is already allocated."))
    done = update(world, image=NEWER)
    assert (done.status, done.error) == (
        "rolled_back",
        "Port 30000 of 127.0.0.1 is already allocated.",
    )
    assert facts_of(world, NAME).id == instance.container_id


def test_one_that_takes_its_time_to_stop_is_given_what_a_plan_may_ask_for(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = adopted(world, run)
    for asked in (-1, 1800):
        instance.adopted["Config"]["StopTimeout"] = asked
        assert instance.stop_timeout == 600
    instance.save()
    waited: list[int] = []
    monkeypatch.setattr(world.engine, "stop", lambda _container, timeout: waited.append(timeout))
    assert world.restart().status == "succeeded"
    assert world.decommission().status == "succeeded"
    assert waited == [600, 600]
