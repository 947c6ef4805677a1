"""Does a host's engine do what customers' containers need: asked, and tried by throwaway containers."""

from __future__ import annotations

from instances.containers import host_fit, isolation
from instances.containers.drift import Finding
from instances.containers.facts import EngineFacts, NetworkFacts
from instances.engine.port import Engine
from instances.errors import OutOfReachError, PermanentError, TransientError
from instances.models import Host
from instances.operations.host_disk import free_bytes
from instances.operations.isolation import measure
from instances.operations.steps import network
from instances.operations.validate import Validation
from instances.outside import Outside, bare_address

MAKING_TRIES, MAKING_POLL = 5, 1.0  # seconds between them


def validate_host(host: Host, outside: Outside) -> Validation:
    """What its engine says of itself, whichever that is, and how it keeps customers apart.

    The network of customers is made where there is none. Raises EngineUnreachable.
    """
    asked_at = outside.clock.now()
    engine = outside.engines.at(bare_address(host))
    facts = engine.facts()
    seconds = (outside.clock.now() - asked_at).total_seconds()
    free = free_bytes(host, facts.root)
    known = _known(host, facts.id)
    found = list(host_fit.findings(facts, known, free, asked_at, seconds))
    if host.engine_id in ("", facts.id) and not known.hosts:  # on another's engine nothing is made
        found += _apart(host, engine, facts, outside)
    return Validation(found, list(host_fit.notes(free)))


def _known(host: Host, engine_id: str) -> host_fit.EngineOwners:
    others = Host.objects.filter(engine_id=engine_id).exclude(pk=host.pk).order_by("name")
    names = others.values_list("name", flat=True) if engine_id else ()
    return host_fit.EngineOwners(host.engine_id, tuple(names))


def _apart(host: Host, engine: Engine, facts: EngineFacts, outside: Outside) -> list[Finding]:
    try:
        there = _network(engine, host.network, outside)
    except PermanentError as error:
        return [Finding("network", False, str(error))]
    return [
        Finding("network", True, f"customers share {there.name}"),
        *isolation.findings(measure(engine, there, facts, outside)),
    ]


def _network(engine: Engine, name: str, outside: Outside) -> NetworkFacts:
    """The customers' network. Where a provisioning makes it just now, it can be seen after a moment."""
    for _ in range(MAKING_TRIES - 1):
        try:
            return network.ready(engine, name)
        except OutOfReachError:
            raise
        except TransientError:
            outside.wait(MAKING_POLL)
    return network.ready(engine, name)
