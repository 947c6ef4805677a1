"""Forms that single settings must have; a bad one stops the start by name and is never shown."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

ENGINES = ("unix", "tcp", "ssh")
_NAME = re.compile(
    r"\.?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?", re.IGNORECASE
)
_VISIBLE = re.compile(r"[!-~]+")


def hosts(name: str, values: list[str]) -> list[str]:
    """Host names and addresses, without scheme and port; `.example.com` and `*` as Django reads them."""
    for value in values:
        if value != "*" and not _is_host(value):
            raise _refused(name, "host names without scheme and port, such as dockmgr.example.com")
    return values


def origins(name: str, values: list[str]) -> list[str]:
    """Origins as browsers send them: scheme and host, and a port that does not go without saying."""
    for value in values:
        if not _is_origin(value):
            raise _refused(name, "origins, such as https://dockmgr.example.com")
    return values


def address(name: str, value: str | None) -> str | None:
    """An address of the web that can be asked."""
    if value is not None and not _is_address(value):
        raise _refused(name, "an address, such as https://monitor.example.com/ping/1")
    return value


def engine(name: str, value: str) -> str:
    """An address of a Docker Engine."""
    try:
        parts = urlsplit(value)
        whole = bool(parts.path.strip("/")) if parts.scheme == "unix" else bool(parts.hostname)
        good = parts.scheme in ENGINES and whole and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise _refused(name, "unix:///path, tcp://host:port or ssh://user@host")
    return value


def token(name: str, value: str | None) -> str | None:
    """What can be sent in a header."""
    if value is not None and not _VISIBLE.fullmatch(value):
        raise _refused(name, "letters, digits and signs without blanks")
    return value


def prefix(name: str, value: str) -> str:
    """What keys of Redis may begin with: nothing that Celery would fill in."""
    if value and (not _VISIBLE.fullmatch(value) or {"{", "}"} & set(value)):
        raise _refused(name, "letters, digits and signs without blanks and braces")
    return value


def _is_host(value: str) -> bool:
    if value.startswith("["):
        return value.endswith("]") and _is_ip(value[1:-1])
    return bool(_NAME.fullmatch(value))


def _is_ip(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).version == 6
    except ValueError:
        return False


def _is_origin(value: str) -> bool:
    scheme, separator, rest = value.partition("://")
    host, _, port = rest.rpartition(":") if re.search(r":\d+$", rest) else (rest, "", "1")
    return scheme in ("http", "https") and bool(separator) and _is_wild(host) and 0 < int(port) < 65536


def _is_wild(host: str) -> bool:
    return _is_host(host.removeprefix("*."))


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return (
            parts.scheme in ("http", "https")
            and _is_host(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
            and parts.port != 0
            and bool(_VISIBLE.fullmatch(value))
        )
    except ValueError:
        return False


def _refused(name: str, allowed: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} has a value that doesn't fit; allowed are {allowed}.")
