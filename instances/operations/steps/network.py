"""The bridge of a host's customers: there, and apart, before a container is made or started in it."""

from __future__ import annotations

from instances.containers import networks
from instances.containers.facts import NetworkFacts
from instances.containers.spec import MANAGED_LABEL
from instances.engine.port import Engine
from instances.errors import PermanentError, TransientError
from instances.operations.procedure import Work


def ready(engine: Engine, name: str) -> NetworkFacts:
    """The network customers are put into, made where there is none.

    Raises PermanentError for another's, TransientError while another process still makes it.
    """
    found = engine.network(name) or _made(engine, name)
    refused = networks.refusal(found)
    if refused:
        raise PermanentError(
            f"The network {name} {refused}. Give the host another network, or remove this one."
        )
    return found


def _made(engine: Engine, name: str) -> NetworkFacts:
    wanted = networks.options(name, engine.facts())
    try:
        engine.create_network(name, wanted, {MANAGED_LABEL: "true"})
    except (PermanentError, TransientError):
        found = engine.network(name)
        if found is None:
            raise
        return found  # another process was quicker
    found = engine.network(name)
    if found is None:
        raise PermanentError(f"The network {name} vanished right after it was made.")
    return found


def rejoin(work: Work, container: str) -> None:
    """Before a start: a container whose network was lost joins the one made in its place."""
    if work.instance.adopted is not None:
        return  # its networks are not ours to make
    facts = work.engine.inspect(container)
    if facts is None or facts.state == "running" or facts.network_mode in networks.BUILT_IN:
        return
    name = facts.network_mode
    place = facts.networks.get(name)
    if place is None or place.network_id not in ("", ready(work.engine, name).id):
        work.engine.join_anew(facts.id, name)
