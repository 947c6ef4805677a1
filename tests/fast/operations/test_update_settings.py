"""Settings of a plan or a customer reach a container when it is updated, image or no image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from instances import documents
from instances.containers.facts import ContainerFacts
from instances.containers.spec import OPERATION_LABEL, SPEC_LABEL
from instances.models import Instance, Plan
from tests.factories import IMAGE, SECRET, World
from tests.fakes.outside import fails, passes
from tests.fast import strangers
from tests.fast.conftest import Run
from tests.fast.updates import OLD, in_order, publish, start_first, update

pytestmark = pytest.mark.django_db

OWN = (SPEC_LABEL, OPERATION_LABEL)  # of each container anew


@pytest.fixture
def current(world: World) -> Instance:
    """An instance on the newest image there is."""
    publish(world, "agent-1")
    return world.instance()


def more_memory(world: World) -> int:
    bytes_ = 3 * 1024**3
    Plan.objects.filter(pk=world.plan.pk).update(memory=bytes_)
    return bytes_


def test_changed_limits_are_taken_up_with_the_same_image(world: World) -> None:
    start_first(world)
    publish(world, "agent-1")
    current = world.instance()
    wanted = more_memory(world)
    done = update(world)
    instance = Instance.objects.get()
    facts = world.engine.inspect(instance.container_id)
    assert facts and (facts.memory, facts.state, facts.image_id) == (wanted, "running", OLD)
    assert (done.status, documents.operation(done)["changed"]) == ("succeeded", True)
    assert instance.container_id != current.container_id
    again = update(world)
    assert documents.operation(again)["changed"] is False
    assert Instance.objects.get().container_id == instance.container_id


def test_a_changed_time_to_stop_is_taken_up(world: World, current: Instance) -> None:
    Plan.objects.filter(pk=world.plan.pk).update(stop_timeout=120)
    assert documents.operation(update(world))["changed"] is True
    facts = world.engine.inspect(in_order(world).container_id)
    assert facts and facts.options["stop_timeout"] == 120


def test_a_changed_environment_is_taken_up(world: World, current: Instance) -> None:
    current.env = {"API_KEY": SECRET, "MODE": "new"}
    current.save()
    update(world)
    facts = world.engine.inspect(in_order(world).container_id)
    assert facts and facts.env["MODE"] == "new"


def test_settings_that_do_not_work_are_rolled_back_and_the_image_is_not_blamed(
    world: World, current: Instance
) -> None:
    wanted = more_memory(world)

    def told() -> object:
        facts = world.engine.inspect(current.container_name)
        return fails() if facts and facts.memory == wanted else passes()

    world.probe.answers[current.port or 0] = told  # type: ignore[assignment]
    assert update(world).status == "rolled_back"
    instance = in_order(world)
    assert (instance.container_id, instance.failed_images) == (current.container_id, [])


SAID: dict[str, Any] = {
    "env": {"OLD_KEY": SECRET, "VERSION": "mine"},
    "options": {
        "labels": {"traefik.enable": "true"},
        "ulimits": {"nofile": [1024, 4096]},
        "logging": {"options": {"max-size": "10m", "max-file": "3", "tag": "x"}},
    },
}


def test_what_a_plan_takes_back_is_gone_with_the_next_update(world: World, run: Run) -> None:
    world.instance()
    publish(world, "agent-2", env={"VERSION": "1"}, labels={"by": "us"})
    assert update(world).status == "succeeded"
    before = facts_of(world)
    _of_plan(SAID)
    update(world)
    assert facts_of(world) != before
    _of_plan({"env": {}, "options": {}})
    noted = {note["code"] for note in run("validate", "--customer-id", "c1", "--json").document["warnings"]}
    assert noted >= {"environment", "labels", "ulimits", "logging"}
    done = update(world)
    assert (done.status, documents.operation(done)["changed"]) == ("succeeded", True)
    found = facts_of(world)
    assert (found.env, found.labels, found.options) == (before.env, before.labels, before.options)
    assert documents.operation(update(world))["changed"] is False


def test_a_new_mark_on_a_container_that_has_nothing_of_earlier_settings_makes_none_anew(
    world: World, current: Instance, settings: Any
) -> None:
    update(world)
    settings.SECRET_KEY = "another key, with which every mark is another one"
    assert documents.operation(update(world))["changed"] is False


def test_the_environment_of_an_adopted_customer_is_taken_up(world: World, run: Run) -> None:
    instance = strangers.adopted(world, run)
    world.engine.registry[IMAGE] = next(i for i in world.engine.images.values() if i.id == instance.image_id)
    assert documents.operation(update(world))["changed"] is False
    instance.env = {"TZ": "UTC", "MODE": "new"}
    instance.save()
    assert documents.operation(update(world))["changed"] is True
    assert strangers.facts_of(world).env == {"TZ": "UTC", "MODE": "new"}
    assert documents.operation(update(world))["changed"] is False


def _of_plan(said: dict[str, Any]) -> None:
    """As saved, so that the former values are kept."""
    plan = Plan.objects.get(name="pro")
    for name, value in said.items():
        setattr(plan, name, value)
    plan.save()


def facts_of(world: World) -> ContainerFacts:
    facts = world.engine.inspect(in_order(world).container_id)
    assert facts
    return replace(
        facts, id="", started_at=None, labels={k: v for k, v in facts.labels.items() if k not in OWN}
    )
