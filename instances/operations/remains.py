"""What an operation that could not come to its end has left on its host, as a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from instances.containers.facts import ContainerFacts
from instances.containers.spec import next_name, previous_name
from instances.engine.port import Engine
from instances.errors import DockmgrError
from instances.models import Instance, Operation

SHORT = 12  # characters by which people know a container's id again


def remains(instance: Instance, engine: Engine, operation: Operation) -> str:
    """Which of the customer's containers are there now; those known of, when the engine does not say."""
    where = f"host {instance.host.name}"
    try:
        found = {facts.id: facts for which in _known(instance, operation) if (facts := engine.inspect(which))}
    except DockmgrError:
        known = ", ".join(_short(which) for which in _known(instance, operation))
        return f"What is left can't be seen, as the engine of {where} does not answer; known are {known}."
    if not found:
        return f"No container is left on {where}."
    return f"Left on {where}: {'; '.join(_described(facts) for facts in found.values())}."


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
