"""Forms that single settings must have; a bad one stops the start by name and is never shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from dockmgr.environment import form
from dockmgr.web_names import DEFAULT_PORTS, VISIBLE, host_name, host_of, origin
from instances.lib.addresses import engine_fault

ENGINES = ("unix", "tcp", "ssh")
_WITH_PORT = re.compile(r"(?P<host>.*?)(:(?P<port>[0-9]{1,5}))?")


def hosts(name: str, values: list[str]) -> list[str]:
    """Host names and addresses as browsers send them; `.example.com` and `*` as Django reads them."""
    return [_allowed_host(name, value) for value in values]


def origins(name: str, values: list[str]) -> list[str]:
    """Origins as browsers send them: scheme and host, and a port that does not go without saying."""
    return [_origin(name, value) for value in values]


def address(name: str, value: str | None) -> str | None:
    """An address of the web that can be asked."""
    if value is not None and not _is_address(value):
        raise _refused(name, value, "an address, such as https://monitor.example.com/ping/1")
    return value


def engine(name: str, value: str) -> str:
    """An address of a Docker Engine."""
    if not value.startswith(tuple(f"{scheme}://" for scheme in ENGINES)) or engine_fault(value):
        raise _refused(name, value, "unix:///path, tcp://host:port or ssh://user@host")
    return value


def token(name: str, value: str | None) -> str | None:
    """What can be sent in a header."""
    if value is not None and not VISIBLE.fullmatch(value):
        raise _refused(name, value, "letters, digits and signs without blanks")
    return value


def prefix(name: str, value: str) -> str:
    """What keys of Redis may begin with: nothing that Celery would fill in."""
    if value and (not VISIBLE.fullmatch(value) or {"{", "}"} & set(value)):
        raise _refused(name, value, "letters, digits and signs without blanks and braces")
    return value


def _allowed_host(name: str, value: str) -> str:
    begin = "." if value.startswith(".") else ""
    host = "*" if value == "*" else _host(value.removeprefix(begin))
    if not host:
        raise _refused(name, value, "host names without scheme and port, such as dockmgr.example.com")
    return begin + host


def _origin(name: str, value: str) -> str:
    scheme, _, rest = value.lower().partition("://")
    found = _WITH_PORT.fullmatch(rest)
    begin = "*." if rest.startswith("*.") else ""
    host = _host(found["host"].removeprefix(begin)) if found else ""
    port = int(found["port"]) if found and found["port"] else None
    if scheme not in DEFAULT_PORTS or not host or not (port is None or 0 < port < 65536):
        raise _refused(name, value, "origins, such as https://dockmgr.example.com")
    return origin(scheme, begin + host, port)


def _host(value: str) -> str:
    """A host in small letters and without a dot at its end; empty for what is none."""
    return host_name(value.lower().removesuffix("."))


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        is_whole = _host(host_of(parts)) and parts.port != 0 and VISIBLE.fullmatch(value)
        return parts.scheme in DEFAULT_PORTS and bool(is_whole)
    except ValueError:
        return False


def _refused(name: str, value: str, allowed: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} has {form(value)} that don't fit; allowed are {allowed}.")
