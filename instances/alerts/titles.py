"""Whom a message is about, and its title: a sentence for each kind of incident."""

from __future__ import annotations

from collections.abc import Callable

from instances.alerts.rules import ACKNOWLEDGED
from instances.containers.consumption import DISK, OOM
from instances.incidents.hosts import WAVE
from instances.incidents.rules import (
    CERTIFICATE,
    CONTAINER,
    CRASHING,
    LOG,
    OPERATION,
    ORPHANS,
    OUTSIDE,
    RESOURCES,
    at_fault,
    outside_place,
)
from instances.models import Incident

AGAIN_AND_AGAIN = " again and again"

_SHORT_OF = {
    CRASHING: "dies again and again",
    DISK: "has more on disk than its plan allows",
    OOM: "lost a process for want of memory",
}
_ENDED = {
    "resolved": ": resolved",
    "summary": ": resolved",
    "recovered": " is healthy again",
    ACKNOWLEDGED: " is seen to",
}
_STATE = {"flapping": "recovers and fails again", "opened": "is down"}


def subject(incident: Incident, host: str) -> str:
    """What the incident is about; `host` is the name of its host, or empty."""
    return _SUBJECTS[incident.kind](incident, host)


def title(incident: Incident, kind: str, host: str) -> str:
    """The title of a message of this `kind` about the incident."""
    who = subject(incident, host)
    if kind in _ENDED:
        return f"{who}{_ENDED[kind]}"
    if incident.kind == "instance":
        return f"{who} {_STATE.get(kind, 'is still down')}"
    return f"{who} {_TROUBLES.get(incident.kind, _in_trouble)(incident)}"


def _of_instance(incident: Incident, host: str) -> str:
    return f"{incident.customer_id} on {host}" if host else incident.customer_id


def _of_container(incident: Incident, _host: str) -> str:
    return f"The container of {incident.customer_id}"


def _of_certificate(_incident: Incident, host: str) -> str:
    return f"A certificate of host {host}" if host else "A certificate of a public address"


def _of_public_address(incident: Incident, _host: str) -> str:
    place = outside_place(incident.key)
    return at_fault(place, incident.cause) if place else f"The public address of {incident.customer_id}"


_SUBJECTS: dict[str, Callable[[Incident, str], str]] = {
    "instance": _of_instance,
    OPERATION: lambda incident, _: f"A change of {incident.customer_id}",
    CONTAINER: _of_container,
    RESOURCES: _of_container,
    LOG: lambda incident, _: f"The log of {incident.customer_id}",
    OUTSIDE: _of_public_address,
    CERTIFICATE: _of_certificate,
    ORPHANS: lambda _, host: f"What dockmgr made on host {host}",
    "host": lambda _, host: f"Host {host}",
    "fleet": lambda *_: "The fleet",
    "self": lambda *_: "dockmgr itself",
}


def _in_trouble(incident: Incident) -> str:
    return f"is in trouble{AGAIN_AND_AGAIN if incident.flapping else ''}"


def _says_so(incident: Incident) -> str:
    return f"says what its plan warns of{AGAIN_AND_AGAIN if incident.flapping else ''}"


def _of_host(incident: Incident) -> str:
    if incident.cause == WAVE:
        return "answers, but many of its instances fail at once"
    return _in_trouble(incident)


_TROUBLES: dict[str, Callable[[Incident], str]] = {
    CONTAINER: lambda incident: _SHORT_OF.get(incident.cause, f"was {incident.cause}"),
    RESOURCES: lambda incident: _SHORT_OF.get(incident.cause, f"is near its limit ({incident.cause})"),
    CERTIFICATE: lambda _: "ends soon or is over",
    ORPHANS: lambda _: "is not all known",
    LOG: _says_so,
    OUTSIDE: lambda incident: "is at fault for many" if outside_place(incident.key) else "is out of reach",
    "host": _of_host,
}
