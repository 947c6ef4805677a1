"""What an operation that could not come to its end has left on its host, as a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from instances.containers import storage
from instances.containers.facts import ContainerFacts
from instances.containers.spec import next_name, previous_name
from instances.engine.port import Engine
from instances.errors import DockmgrError
from instances.models import Instance, Operation

SHORT = 12  # characters by which people know a container's id again


def remains(instance: Instance, engine: Engine, operation: Operation) -> str:
    """What the customer has there now; what is known of, when the engine does not say."""
    where = f"host {instance.host.name}"
    try:
        found = {facts.id: facts for which in _known(instance, operation) if (facts := engine.inspect(which))}
        names = _volumes(instance, operation)
        volumes = [f"volume {name}" for name in names if _is_there(name, instance, engine)]
    except DockmgrError:
        known = ", ".join(
            [_short(which) for which in _known(instance, operation)] + _volumes(instance, operation)
        )
        return f"What is left can't be seen, as the engine of {where} does not answer; known are {known}."
    left = "; ".join([*(_described(facts) for facts in found.values()), *volumes])
    return f"Left on {where}: {left}." if left else f"No container is left on {where}."


def _volumes(instance: Instance, operation: Operation) -> list[str]:
    """Of a provisioning or a removal they are left over; those of a customer who stays are not."""
    own = operation.kind in ("provision", "decommission") and not instance.is_adopted
    return sorted({*instance.held_volumes, *instance.planned_volumes}) if own else []


def _is_there(volume: str, instance: Instance, engine: Engine) -> bool:
    labels = engine.volume_labels(volume)
    return labels is not None and storage.is_customers(labels, instance.customer_id)


def _known(instance: Instance, operation: Operation) -> Iterator[str]:
    """Names and ids under which containers of the operation may be found."""
    name, told = instance.container_name, {**operation.params, **operation.facts}
    yield from (name, previous_name(name), next_name(name))
    ids = (told.get(key) for key in ("old_container", "old_remade", "new_container"))
    yield from dict.fromkeys(str(which) for which in (instance.container_id, *ids) if which)


def _described(facts: ContainerFacts) -> str:
    return f"container {facts.name} ({_short(facts.id)}, {facts.state}, image {facts.image_id})"


def _short(which: str) -> str:
    is_id = len(which) == 64 and not which.strip("0123456789abcdef")
    return which[:SHORT] if is_id else which
