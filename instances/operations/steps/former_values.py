"""Values of the environment that were replaced are forgotten once no container has them."""

from __future__ import annotations

from instances.db.locks import locked
from instances.models import Instance
from instances.operations.procedure import Work


def forget_replaced(work: Work, container: str) -> None:
    """Keep of the instance's former values those that this container, the one in service now, has.

    What is set while a container is being made comes too late for it.
    """
    rows = Instance.objects.filter(pk=work.instance.pk).only("former_values")
    facts = work.engine.inspect(container) if rows.get().former_values else None
    if facts is None:
        return
    held = set(facts.env.values())
    with work.journal.holding():
        former = locked(rows).get().former_values or []
        work.instance.former_values = [value for value in former if value in held] or None
        work.instance.save(update_fields=["former_values"])
