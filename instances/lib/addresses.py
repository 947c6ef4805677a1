"""The forms of addresses: of a machine, of its interface and of an engine. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

MOST_LETTERS = 253
LONGEST_SOCKET = 107  # bytes, by the system's own record of such an address
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBERS = re.compile(r"[0-9.]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
TCP = "its address must read tcp://host:port, with neither user nor password"
SSH = "its address must read ssh://user@host or ssh://user@host:port"
SOCKET = f"its address must read unix:///path, with a path of at most {LONGEST_SOCKET} bytes"
TLS = "tls files go with an address by tcp:// alone (tls: null takes them back)"


def is_ip(text: str) -> bool:
    """Whether it is an address of IPv4 or IPv6, in full and without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_machine(text: str) -> bool:
    """Whether it is a machine's name or an IP address. What has numbers alone is no name."""
    if is_ip(text):
        return True
    return len(text) <= MOST_LETTERS and bool(_NAME.fullmatch(text)) and not _NUMBERS.fullmatch(text)


def engine_fault(url: str, *, tls: bool = False) -> str:
    """Why no engine can be reached at a URL, whatever is there; empty when one can. Shows nothing of it.

    `tls` says that there are files for it.
    """
    if tls and not url.startswith("tcp://"):
        return TLS
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # the port is no number, or brackets that hold no address
        return TCP if url.startswith("tcp:") else SSH
    if parts.scheme == "unix":
        fits = len(parts.path.encode()) <= LONGEST_SOCKET
        return "" if parts.path.strip("/") and url == url.strip() and fits else SOCKET
    host = is_machine(parts.hostname or "") and port != 0 and not (parts.query or parts.fragment)
    if parts.scheme == "ssh":
        return "" if host and _is_login(parts) else SSH
    return "" if host and port and parts.scheme == "tcp" and "@" not in parts.netloc else TCP


def _is_login(parts: SplitResult) -> bool:
    """No password, no path, and nothing that `ssh` takes for an option."""
    user = parts.username is None or bool(_USER.fullmatch(parts.username))
    first = (parts.hostname or "-")[0]
    return user and parts.password is None and parts.path in ("", "/") and first != "-"
