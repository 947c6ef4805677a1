"""Taking another engine for a host's own: only when a person says so."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from instances.engine.certificates import IN_CLEAR
from instances.engine.pool import Engines
from instances.errors import DockmgrError, RequestError
from instances.incidents.hosts import suspect
from instances.lib.addresses import engine_fault
from instances.models import Host, Incident, Instance
from instances.monitoring.host_rules import Trouble
from instances.outside import bare_address


def accept_engine(host: Host, engines: Engines, now: datetime) -> tuple[str, str]:
    """Make the engine that answers now the host's; returns the id known before and its own.

    Raises RequestError when it is the known one or another host's, or where the host got another address
    meanwhile; EngineUnreachable.
    """
    found = engines.ask(bare_address(host), lambda engine: engine.facts().id)
    if not found:
        raise DockmgrError(f"The engine of host {host.name} does not say who it is.")
    if found == host.engine_id:
        raise RequestError(f"Host {host.name} has the engine it is known by: there is nothing to accept.")
    try:
        with transaction.atomic():
            if not Host.objects.filter(pk=host.pk, docker_url=host.docker_url).update(engine_id=found):
                raise RequestError(
                    f"Host {host.name} was removed, or got another address, while its engine was asked: "
                    "nothing was accepted."
                )
            suspect([host.pk], now)
    except IntegrityError:
        raise RequestError(f"The engine that answers for host {host.name} is another host's.") from None
    return host.engine_id, found


def is_doubted(host: Host) -> bool:
    """Whether another engine was seen to answer for the host."""
    known = Incident.objects.open().filter(kind="host", host=host, resolve_at=None)
    return known.filter(cause=Trouble.ANOTHER_ENGINE.value).exists()


def way_refused(host: Host) -> str:
    """Why an engine can't be reached in the way a host says, whatever is there; empty when it can."""
    if host.docker_url.startswith("tcp://") and not host.tls and not host.insecure:
        return IN_CLEAR
    return engine_fault(host.docker_url, tls=bool(host.tls)) if host.docker_url else ""


def same_address(host: Host) -> Host | None:
    """Another host, in use, that is reached at the same address and so has the same engine."""
    in_use = ~Q(engine_id="") | Q(instances__in=Instance.objects.present())
    others = Host.objects.exclude(pk=host.pk).filter(in_use).distinct()
    return next((other for other in others if other.engine_url == host.engine_url), None)
