"""The forms Compose allows for names, addresses and ports of a container, each brought to one form. Pure."""

from __future__ import annotations

import ipaddress
import re

from instances.containers import option_words
from instances.lib import placeholders

LONGEST = 64  # characters of a host name: HOST_NAME_MAX of Linux


def extra_hosts(value: object) -> tuple[str, ...]:
    """`name:address` each; `host-gateway` is the host's address."""
    pairs = value.items() if isinstance(value, dict) else map(_extra_host, option_words.texts(value))
    return tuple(f"{name}:{_address(address)}" for name, address in pairs if _host_name(name))


def _extra_host(entry: str) -> tuple[str, str]:
    name, sign, address = entry.partition("=" if "=" in entry else ":")
    if not sign:
        raise ValueError("must be names with their addresses, such as db:10.0.0.7")
    return name, address


def _host_name(name: object) -> bool:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})", name):
        raise ValueError("must be names with their addresses, such as db:10.0.0.7")
    return True


def _address(address: object) -> str:
    text = str(address).strip("[]")
    if text == "host-gateway":
        return text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("must have IP addresses, or host-gateway") from None


def dns(value: object) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_address(text)) for text in option_words.texts(value))
    except ValueError:
        raise ValueError("must be IP addresses") from None


def ports(value: object) -> tuple[str, ...]:
    """Ports of the container, as `9090/tcp` each."""
    found = tuple(map(_port, option_words.entries(value)))
    if len(set(found)) < len(found):
        raise ValueError("must have each port once")
    return found


def _port(entry: object) -> str:
    protocol: object = "tcp"
    if isinstance(entry, dict):
        if not set(entry) <= {"container", "protocol"}:
            raise ValueError("must be such as {container: 9090}: host ports are allotted")
        protocol = entry.get("protocol", "tcp")
        entry = entry.get("container")
    text, slash, named = str(entry).partition("/")
    protocol = named if slash else protocol
    if ":" in text:
        raise ValueError("must name ports of the container alone: host ports are allotted")
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536 or protocol not in ("tcp", "udp"):
        raise ValueError("must be ports of the container, tcp or udp, such as {container: 9090}")
    return f"{int(text)}/{protocol}"


def too_long(hostname: str) -> str:
    """What is wrong with a host name that no system can have; empty for one that can be."""
    size = len(hostname)
    return (
        f"The host name {hostname} has {size} characters, and {LONGEST} are the most."
        if size > LONGEST
        else ""
    )


def hostname(value: object) -> str:
    text = option_words.matching(r"[A-Za-z0-9{}_.-]{1,200}", "must be a host name")(value)
    placeholders.refuse_unknown([text])
    return text
