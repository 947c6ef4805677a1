"""Where a request came from, as far as that can be trusted."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def source(meta: Mapping[str, str], proxies: int) -> str | None:
    """The IP address of the caller: what the outermost of `proxies` trusted proxies saw, or the peer's.

    Whatever stands further left in X-Forwarded-For the caller may have written himself.
    """
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    hops = [*(hop.strip() for hop in forwarded if hop.strip()), meta.get("REMOTE_ADDR", "")]
    seen = hops[max(0, len(hops) - 1 - proxies)]
    return _address(seen) or _address(hops[-1])


def network(address: str | None) -> str:
    """What is counted as one caller: an IPv4 address, or the 64 bits of an IPv6 customer."""
    if address is None or ":" not in address:
        return address or "unknown"
    return str(ipaddress.ip_network((address, 64), strict=False))


def _address(text: str) -> str | None:
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:  # IPv4 with a port
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # Who listens on IPv6 for both is told of IPv4 callers like this, and all of them share 64 bits.
    return str(getattr(address, "ipv4_mapped", None) or address)
