"""What an image's reference says of its registry. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

HUB = "docker.io"
LATEST = "latest"
_DIGITS = re.compile("[0-9a-f]{64}")
_BEGINNING = re.compile("[0-9a-f]+")
_HUBS = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})


def parts_of(ref: str) -> tuple[str, str, str]:
    """Name, tag and digest of a reference, as they stand in it; what it does not say is empty."""
    name, _, digest = ref.partition("@")
    path, colon, tag = name.rpartition(":")
    return (path, tag, digest) if colon and "/" not in tag else (name, "", digest)


def repository(ref: str) -> str:
    """The whole name without tag and digest: `nginx:1` is `docker.io/library/nginx`."""
    name = parts_of(ref)[0]
    host, slash, rest = name.partition("/")
    if not slash or not _is_host(host):
        host, rest = HUB, name
    if host in _HUBS:
        host, rest = HUB, rest if "/" in rest else f"library/{rest}"
    return f"{host}/{rest}"


def is_id(ref: str) -> bool:
    """Whether a reference is an image's own id, which names no repository."""
    return ref.startswith("sha256:") or _DIGITS.fullmatch(ref) is not None


def in_full(ref: str) -> str:
    """A reference that an engine can't take for the beginning of an id, as which `cafe` reads as well."""
    return f"{ref}:latest" if _BEGINNING.fullmatch(ref) and not is_id(ref) else ref


def names_registry(ref: str) -> bool:
    """Whether a reference says which registry it is in; else it may also be an image built on the host."""
    host, slash, _ = ref.partition("/")
    return bool(slash) and _is_host(host)


def _is_host(part: str) -> bool:
    return "." in part or ":" in part or part == "localhost"


def host_of(name: str) -> str:
    """The host of a registry's name, or of a whole repository's."""
    host = name.partition("/")[0]
    return HUB if host in _HUBS else host


def longest_match(names: Iterable[str], ref: str) -> str | None:
    """The registry, of a host or of a path on it, that an image is in."""
    whole = repository(ref).split("/")
    fitting = [name for name in names if whole[: len(_steps(name))] == _steps(name)]
    return max(fitting, key=lambda name: len(_steps(name)), default=None)


def _steps(name: str) -> list[str]:
    host, slash, path = name.partition("/")
    return [host_of(host), *(path.split("/") if slash else [])]
