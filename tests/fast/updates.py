"""Updates on fakes: how to ask for one, and what must be true of an instance after any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from instances.containers.spec import next_name, previous_name
from instances.http.probe import ProbeResult
from instances.models import Instance, Operation, Plan, Port
from instances.operations import service
from tests.factories import ASKED, IMAGE, World, health_of
from tests.fakes.facts import image_facts
from tests.fakes.outside import fails, passes

OLD, NEW, NEWEST = (image_facts(f"agent-{number}").id for number in (1, 2, 3))


def publish(world: World, name: str = "agent-2", ref: str = IMAGE, **changes: Any) -> None:
    """From now on `ref` names another image in the registry."""
    world.engine.registry[ref] = image_facts(name, **changes)


def begin(world: World, customer_id: str = "c1", image: str | None = None) -> Operation:
    return service.begin_update(customer_id, ASKED, image=image, outside=world.outside)


def update(world: World, customer_id: str = "c1", image: str | None = None) -> Operation:
    return service.run_to_end(begin(world, customer_id, image).pk, world.outside)


def start_first(world: World) -> None:
    """The plan keeps no data and wants the new container up before the old one stops."""
    Plan.objects.update(data_path=None, update_strategy="start_first")
    world.plan.refresh_from_db()


def answers_by_image(
    world: World, number: int | None, bad: str = NEW, answer: Callable[[], ProbeResult] = fails
) -> None:
    """At this port, whatever runs from the image `bad` gives `answer`, anything else is well.

    A host whose engine is out of reach does not answer at all.
    """
    assert number
    engine = world.engine

    def told() -> ProbeResult:
        if engine.unreachable:
            return fails("timeout")
        containers = (engine.inspect(name) for name in engine.containers)
        running = [c for c in containers if c and c.state == "running"]
        [image] = {c.image_id for c in running if (8080 in c.ports and c.ports[8080][1] == number)}
        return answer() if image == bad else passes()

    world.probe.answers[number] = told


def in_order(world: World, customer_id: str = "c1") -> Instance:
    """The instance, after seeing that it has one container, running as recorded, and one port."""
    instance = Instance.objects.get(customer_id=customer_id)
    name = instance.container_name
    own = (name, next_name(name), previous_name(name))
    assert [n for n in world.engine.containers if n in own] == [name]
    facts = world.engine.inspect(name)
    assert facts
    assert (facts.id, facts.image_id, facts.state) == (instance.container_id, instance.image_id, "running")
    assert [number for _, number in facts.ports.values()] == [instance.port]
    assert [port.number for port in Port.objects.filter(instance=instance)] == [instance.port]
    assert instance.volume_name in world.engine.volumes
    assert not Operation.objects.filter(customer_id=customer_id, finished_at=None).exists()
    return instance


def back_in_place(world: World, old: Instance) -> None:
    """The very container from before runs again, and all is as if nothing had been tried."""
    assert in_order(world).container_id == old.container_id
    assert health_of(old).status == "healthy"


def steps(operation: Operation) -> dict[str, str]:
    """How each step of an operation ended, in order."""
    return {step["name"]: step["status"] for step in operation.steps}
