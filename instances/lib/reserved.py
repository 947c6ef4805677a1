"""Which network addresses lead out into the world, and which back to where one is. Pure."""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet: no loopback, link-local, private or reserved one.

    What an IPv6 address stands for in IPv4 counts as well. False for what is no address.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast for each in _meant(found))


def _meant(found: Address) -> list[Address]:
    if isinstance(found, ipaddress.IPv4Address):
        return [found]
    inside = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if found in _NAT64:
        inside.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    known = [each for each in inside if each is not None]
    return [*known] if found.ipv4_mapped else [found, *known]
