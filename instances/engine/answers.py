"""What an engine answers, cut down to the shapes that are relied on: parts of another shape are left out.

Engines, proxies before them and programs that only look like one send what no document promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_LARGEST = 2**63


class UnreadableAnswerError(ValueError):
    """An answer lacks what nothing can be said without."""


@dataclass(frozen=True)
class EntriesOf:
    """An object with any keys, whose values all have one shape."""

    shape: Any


@dataclass(frozen=True)
class ListOf:
    """A list of entries of one shape; an entry that lacks one of the `needed` says nothing."""

    shape: Any
    needed: tuple[str, ...] = ()


_TEXTS = ListOf(str)
_TEXT_BY_NAME = EntriesOf(str)
_OBJECTS = EntriesOf(dict)
_BINDINGS = EntriesOf(ListOf({"HostIp": str, "HostPort": str}))
_IMAGE_CONFIG = {
    "Env": _TEXTS,
    "Labels": _TEXT_BY_NAME,
    "ExposedPorts": _OBJECTS,
    "Volumes": _OBJECTS,
    "Entrypoint": _TEXTS,
    "Cmd": _TEXTS,
    "User": str,
    "WorkingDir": str,
    "StopSignal": str,
    "Healthcheck": {"Test": _TEXTS},
}
CONTAINER: Json = {
    "Id": str,
    "Name": str,
    "Image": str,
    "RestartCount": int,
    "State": {
        "Status": str,
        "ExitCode": int,
        "OOMKilled": bool,
        "StartedAt": str,
        "FinishedAt": str,
        "Health": {"Status": str},
    },
    "Config": {
        **_IMAGE_CONFIG,
        "Image": str,
        "Hostname": str,
        "MacAddress": str,
        "Tty": bool,
        "StopTimeout": int,
    },
    "HostConfig": {
        "NanoCpus": int,
        "Memory": int,
        "PidsLimit": int,
        "RestartPolicy": {"Name": str, "MaximumRetryCount": int},
        "PortBindings": _BINDINGS,
        "PublishAllPorts": bool,
        "Binds": _TEXTS,
        "Mounts": ListOf({"Type": str, "Source": str, "Target": str}, ("Type", "Target")),
        "Tmpfs": EntriesOf(str),
        "SecurityOpt": _TEXTS,
        "CapAdd": _TEXTS,
        "CapDrop": _TEXTS,
        "ExtraHosts": _TEXTS,
        "Dns": _TEXTS,
        "VolumesFrom": _TEXTS,
        "NetworkMode": str,
        "UTSMode": str,
        "Privileged": bool,
        "AutoRemove": bool,
        "Devices": ListOf(
            {"PathOnHost": str, "PathInContainer": str, "CgroupPermissions": str}, ("PathOnHost",)
        ),
        "DeviceRequests": ListOf({"Count": int, "Capabilities": ListOf(_TEXTS)}),
        "ShmSize": int,
        "Init": bool,
        "ReadonlyRootfs": bool,
        "Ulimits": ListOf({"Name": str, "Soft": int, "Hard": int}, ("Name", "Soft", "Hard")),
        "Sysctls": EntriesOf(str),
        "LogConfig": {"Type": str, "Config": _TEXT_BY_NAME},
    },
    "Mounts": ListOf(
        {"Type": str, "Name": str, "Source": str, "Destination": str, "RW": bool}, ("Type", "Destination")
    ),
    "NetworkSettings": {
        "Ports": _BINDINGS,
        "Networks": EntriesOf(
            {
                "NetworkID": str,
                "IPAddress": str,
                "MacAddress": str,
                "Aliases": _TEXTS,
                "IPAMConfig": dict,
                "Links": _TEXTS,
            }
        ),
    },
}
IMAGE: Json = {
    "Id": str,
    "Architecture": str,
    "RepoTags": _TEXTS,
    "RepoDigests": _TEXTS,
    "Config": _IMAGE_CONFIG,
}
LISTED: Json = {
    "Id": str,
    "Names": _TEXTS,
    "State": str,
    "Status": str,
    "ImageID": str,
    "Labels": _TEXT_BY_NAME,
    "HostConfig": {"NetworkMode": str},
    "NetworkSettings": {"Networks": EntriesOf({"NetworkID": str, "IPAddress": str})},
    "Mounts": ListOf({"Name": str, "RW": bool}, ("Name",)),
}
INFO: Json = {
    "Architecture": str,
    "NCPU": int,
    "MemTotal": int,
    "DockerRootDir": str,
    "ID": str,
    "ServerVersion": str,
    "Driver": str,
    "SecurityOptions": _TEXTS,
    "SystemTime": str,
}
NETWORK: Json = {
    "Id": str,
    "Name": str,
    "Driver": str,
    "Internal": bool,
    "Options": _TEXT_BY_NAME,
    "Labels": _TEXT_BY_NAME,
    "IPAM": {"Config": ListOf({"Subnet": str, "Gateway": str})},
}
VOLUME: Json = {"Name": str, "Labels": _TEXT_BY_NAME}


def fitting(value: object, shape: Any) -> Any:
    """`value` as far as it is of the shape, else None; an object's keys of no known shape stay as they are.

    Of a `ListOf` or an `EntriesOf`, entries of another shape are left out.
    """
    if isinstance(shape, type):
        return _of_type(value, shape)
    if isinstance(shape, EntriesOf):
        return _entries(value, shape.shape) if isinstance(value, dict) else None
    if isinstance(shape, ListOf):
        return _items(value, shape) if isinstance(value, list) else None
    return _object(value, shape) if isinstance(value, dict) else None


def _of_type(value: object, wanted: type) -> Any:
    if wanted is int:
        return _whole(value)
    return value if isinstance(value, wanted) else None


def readable(value: object, shape: Json, *needed: str) -> Json:
    """An object of the shape. Raises UnreadableAnswerError for anything else, or without a needed text."""
    found = fitting(value, shape)
    if found is None or not all(found.get(key) for key in needed):
        raise UnreadableAnswerError(f"an answer without {' and '.join(needed) or 'form'}")
    return dict(found)


def _entries(value: Json, shape: Any) -> Json:
    if shape is str and all(isinstance(entry, str) for entry in value.values()):
        return value  # as labels are, which a sweep reads of all containers
    kept = ((key, fitting(entry, shape)) for key, entry in value.items())
    return {key: found for key, found in kept if found is not None}


def _items(value: list[Any], asked: ListOf) -> list[Any]:
    found = [fitting(entry, asked.shape) for entry in value]
    return [
        entry
        for entry in found
        if entry is not None and not any(entry.get(key) is None for key in asked.needed)
    ]


def _object(value: Json, shape: Json) -> Json:
    return {key: fitting(entry, shape[key]) if key in shape else entry for key, entry in value.items()}


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _LARGEST:
        return None
    return value
