"""Inspected containers and their image, for the tests of adopting."""

from __future__ import annotations

import copy
from typing import Any

from instances.containers import adoption

ID = "c0ffee123456" + "0" * 52
ENDPOINT = {"IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None}
IMAGE: dict[str, Any] = {
    "Config": {
        "Env": ["PATH=/bin", "MODE=image"],
        "Cmd": ["serve"],
        "Entrypoint": ["/srv/start.sh"],
        "WorkingDir": "/srv",
        "User": "app",
        "Labels": {"version": "1"},
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/data": {}},
        "Healthcheck": {"Test": ["CMD", "ok"]},
        "StopSignal": "SIGTERM",
        "Shell": ["/bin/sh"],
    }
}
CONTAINER: dict[str, Any] = {
    "Id": ID,
    "Name": "/gateway",
    "Config": {
        **IMAGE["Config"],
        "Hostname": ID[:12],
        "Domainname": "",
        "Tty": False,
        "Image": "agent:1",
        "OnBuild": None,
    },
    "HostConfig": {"NetworkMode": "default", "Binds": None, "Memory": 64, "CapDrop": ["ALL"], "Init": None},
    "Mounts": [],
    "NetworkSettings": {"Networks": {"bridge": {**ENDPOINT, "NetworkID": "b1", "IPAddress": "172.17.0.2"}}},
}


def a_container(
    *,
    config: dict[str, Any] | None = None,
    networks: dict[str, Any] | None = None,
    mounts: Any = (),
    **host: Any,
) -> dict[str, Any]:
    container = copy.deepcopy(CONTAINER)
    container["Config"] |= config or {}
    container["HostConfig"] |= host
    container["Mounts"] = list(mounts)
    if networks is not None:
        container["NetworkSettings"]["Networks"] = networks
    return container


def derived(**changes: Any) -> dict[str, Any]:
    return adoption.derive(a_container(**changes), IMAGE)


def a_volume(name: str, path: str, **changes: Any) -> dict[str, Any]:
    return {"Type": "volume", "Name": name, "Destination": path, "RW": True, **changes}


def joined(**changes: Any) -> dict[str, Any]:
    return {**ENDPOINT, "NetworkID": "n1", "IPAddress": "10.0.0.9", "MacAddress": "02:42", **changes}
