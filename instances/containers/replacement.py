"""What the engine chose for an adopted container and would choose anew for its replacement. Pure.

It is asked for again where that can be, and named where it can't.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]

_MADE_FROM_ADDRESS = "02:42"  # how engines begin the hardware addresses they make from an IP address
_CHOSEN_LOCALLY = 0b10  # in the first byte of hardware addresses that no vendor gave


def is_chosen_by_engine(bindings: Iterable[Json] | None) -> bool:
    """Whether no binding of a port names a port of the host."""
    ports = (str(binding.get("HostPort")) for binding in bindings or [])
    return not any(port.isdecimal() and int(port) for port in ports)


def with_host_port(host: Json, inner: int, outer: int) -> Json:
    """The host's side of a configuration in which a port the engine had chosen is asked for by number."""
    bindings: Json = host.get("PortBindings") or {}
    kept = bindings.get(f"{inner}/tcp") or [{"HostIp": ""}]
    asked = [{**binding, "HostPort": str(outer)} for binding in kept]
    return {**host, "PortBindings": {**bindings, f"{inner}/tcp": asked}}


def as_first_asked(kept: Json, found: Json) -> Json:
    """The host's side of a container, with the engine's choice open where what is kept leaves it open."""
    wanted, bindings = kept.get("PortBindings") or {}, found.get("PortBindings")
    if not bindings:
        return found
    given = {
        port: wanted[port] if port in wanted and is_chosen_by_engine(wanted[port]) else bound
        for port, bound in bindings.items()
        if port in wanted or not kept.get("PublishAllPorts")
    }
    return {**found, "PortBindings": given}


def chosen_mac(container: Json) -> str:
    """The hardware address somebody chose for an inspected container, else nothing.

    Newer engines don't say which addresses were chosen; one of a vendor always was.
    """
    endpoints = list(_endpoints(container))
    made = {_made_from(str(endpoint.get("IPAddress") or "")) for endpoint in endpoints}
    told = str(container["Config"].get("MacAddress") or "").lower()
    if told:
        return "" if told in made else told
    actual = [str(endpoint.get("MacAddress") or "").lower() for endpoint in endpoints[:1]]
    return next((mac for mac in actual if _is_vendors(mac)), "")


def mac_differs(wanted: str, container: Json) -> bool:
    """Whether a running container has another hardware address than the chosen one."""
    actual = {str(endpoint.get("MacAddress") or "").lower() for endpoint in _endpoints(container)} - {""}
    return bool(wanted) and bool(actual) and wanted not in actual


def _endpoints(container: Json) -> Iterator[Json]:
    networks: Json = (container.get("NetworkSettings") or {}).get("Networks") or {}
    yield from networks.values()


def _made_from(address: str) -> str:
    try:
        packed = ipaddress.IPv4Address(address).packed
    except ValueError:
        return ""
    return ":".join([_MADE_FROM_ADDRESS, packed.hex(":")])


def _is_vendors(mac: str) -> bool:
    try:
        first = bytes.fromhex(mac.replace(":", ""))[0]
    except (ValueError, IndexError):
        return False
    return not first & _CHOSEN_LOCALLY


def warnings(document: Json, published: Iterable[str]) -> Iterator[str]:
    """One sentence for each thing that a replacement of an adopted container may change.

    `published` are the container's ports that are published, such as 8080/tcp; where health is asked, the
    port is kept.
    """
    host = document["HostConfig"]
    bindings: Json = host.get("PortBindings") or {}
    for port in sorted(set(published) - {f"{document.get('Port')}/tcp"}):
        if is_chosen_by_engine(bindings.get(port)):
            named = port.removesuffix("/tcp")
            yield f"The engine chose the host's port for {named}: a replacement is published at another one."
    if not (host.get("Binds") or host.get("Mounts") or host.get("VolumesFrom")):
        yield (
            "It mounts nothing: what its program keeps in files is in the container alone, and is lost "
            "when an update replaces it."
        )
