"""Where a container's port is to be found on its host, and whether that is where dockmgr asks. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_ANYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - read, never bound
_HERE = "localhost"
# Stands in a health URL for the container's own address, which changes with each of its starts.
OWN_ADDRESS = "{container}"


@dataclass(frozen=True)
class Binding:
    """An address and a port of the host; an empty address, or one of zeros, stands for all addresses."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def bindings(described: Json, inner: int) -> list[Binding]:
    """Every place of the host where an inspected, running container publishes this TCP port of its own."""
    ports = (described.get("NetworkSettings") or {}).get("Ports") or {}
    bound = ports.get(f"{inner}/tcp") or []
    told = ((str(each.get("HostIp") or ""), str(each.get("HostPort") or "")) for each in bound)
    return [Binding(address, int(port)) for address, port in told if port.isdecimal() and len(port) <= 5]


def best(places: Sequence[Binding], asked: str) -> Binding | None:
    """The place dockmgr reaches when it asks at the address `asked`: exactly that, all, or perhaps this."""
    for fits in (lambda b: b.address == asked, lambda b: b.address in _ANYWHERE, lambda b: may_be(b, asked)):
        if found := next(filter(fits, places), None):
            return found
    return places[0] if places else None


def located(url: str, address: str) -> str:
    """The URL with the container's own address, where that is what it names; else as it is."""
    shown = f"[{address}]" if ":" in address else address
    return url.replace(OWN_ADDRESS, shown) if address else url


def is_located(url: str) -> bool:
    """Whether it can be asked as it stands."""
    return OWN_ADDRESS not in url


def is_there(place: Binding, asked: str) -> bool:
    """Whether it is published at the very address `asked`, or at all."""
    return place.address in (asked, *_ANYWHERE)


def may_be(place: Binding, asked: str) -> bool:
    """Whether what is published there may answer at `asked`.

    A name does not tell where it leads, and addresses may be translated on the way. A loopback address is
    certain: what is published there is reached there alone, and nothing else is.
    """
    if is_there(place, asked):
        return True
    looped = [_is_loopback(place.address), _is_loopback(asked)]
    return not any(looped) or (asked == _HERE and all(looped))


def _is_loopback(address: str) -> bool:
    try:
        return address == _HERE or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
