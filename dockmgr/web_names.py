"""What follows from the address where people reach the web."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
DEFAULT_PORTS = {"http": 80, "https": 443}
VISIBLE = re.compile(r"[!-~]+")
_LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9])?"
# Django reads `*` and a leading dot as any name; neither is one that people reach.
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True)
class WebNames:
    """The host names the web answers to, the origins that may post its forms, and whether that is by TLS.

    `prefix` is the path that the proxy in front takes off, such as `/dockmgr`; empty without one.
    """

    hosts: list[str]
    origins: list[str]
    https: bool = False
    prefix: str = ""


def web_names(name: str, public_url: str) -> WebNames:
    """What follows from the address where people reach the web; this machine's own names always do.

    Without an address only those. Raises ImproperlyConfigured, naming the setting, for what is no address.
    """
    if not public_url:
        return WebNames([*LOOPBACK], [])
    try:
        parts = urlsplit(public_url)
        host, port = host_name(host_of(parts)), parts.port
    except ValueError:
        raise _no_address(name) from None
    if "@" in parts.netloc:
        raise ImproperlyConfigured(f"{name} holds a user name, which each message with a link would show.")
    whole = host and parts.scheme in DEFAULT_PORTS and port != 0 and VISIBLE.fullmatch(public_url)
    if not whole or "?" in public_url or "#" in public_url:  # links go on behind it
        raise _no_address(name)
    others = [own for own in LOOPBACK if own != host]
    origins, https = [origin(parts.scheme, host, port)], parts.scheme == "https"
    return WebNames([host, *others], origins, https, parts.path.rstrip("/"))


def origin(scheme: str, host: str, port: int | None) -> str:
    """An origin as browsers send it, without the port that goes without saying: Django compares letters."""
    return f"{scheme}://{host}" if port in (None, DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def host_of(parts: SplitResult) -> str:
    """The host of an address, whatever it is, with the brackets it has there."""
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def host_name(value: str) -> str:
    """A host as a browser sends it, an address of version 6 in brackets; empty for what is none."""
    if not (value.startswith("[") and value.endswith("]")):
        return value if _HOST_NAME.fullmatch(value) else ""
    try:
        return f"[{ipaddress.IPv6Address(value[1:-1]).compressed}]"
    except ValueError:
        return ""


def _no_address(name: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is no address; it looks like https://dockmgr.example.com.")
