"""What is kept of an adopted container, in words for people: no variable's value, no command. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from instances.containers.replacement import warnings
from instances.containers.timings import stop_seconds

Json = dict[str, Any]
Row = tuple[str, str]

_SHOWN = {
    "User": "user",
    "WorkingDir": "working folder",
    "Hostname": "host name",
    "StopSignal": "stop signal",
}
_OWN = {"Cmd": "command", "Entrypoint": "entrypoint", "Healthcheck": "health check"}
_LISTS = {
    "CapAdd": "capabilities added",
    "CapDrop": "capabilities dropped",
    "ExtraHosts": "extra hosts",
    "Dns": "name servers",
    "SecurityOpt": "security options",
    "VolumesFrom": "volumes from",
}


def summary(document: Json, env: Iterable[str], published: Iterable[str] = ()) -> list[Row]:
    """Rows of (what, which); `env` are names, `published` ports of the container."""
    config, host = document["Config"], document["HostConfig"]
    rows = [
        *_config(config, env),
        ("mounts", _joined(_mounts(host))),
        ("networks", _joined(_network(*item) for item in document["Networks"].items())),
        ("ports", _joined(_ports(host))),
        ("limits", _joined(_limits(host))),
        ("restart policy", _restart_policy(host.get("RestartPolicy") or {})),
        *((text, _joined(host.get(key) or [])) for key, text in _LISTS.items()),
        ("devices", _joined(d["PathOnHost"] for d in host.get("Devices") or [])),
        ("ulimits", _joined(f"{u['Name']} {u['Soft']}:{u['Hard']}" for u in host.get("Ulimits") or [])),
        ("sysctls", _joined(host.get("Sysctls") or {})),
        ("log driver", str((host.get("LogConfig") or {}).get("Type") or "")),
        ("hardware address", str(document.get("MacAddress") or "")),
        ("note", "it is privileged: it can do anything to its host" if host.get("Privileged") else ""),
        ("note", _stop(config.get("StopTimeout") or 0)),
        *(("note", text) for text in warnings(document, published)),
    ]
    return [row for row in rows if row[1]]


def _config(config: Json, env: Iterable[str]) -> Iterator[Row]:
    yield "environment", _joined(sorted(env))
    yield "without", _joined(config.get("Env") or [])
    yield from ((text, str(config.get(key) or "")) for key, text in _SHOWN.items())
    yield from ((text, "its own") for key, text in _OWN.items() if config.get(key))
    yield "labels", _joined(sorted(config.get("Labels") or {}))


def _mounts(host: Json) -> Iterator[str]:
    yield from host.get("Binds") or []
    yield from (
        f"{m['Type']} {m.get('Source') or ''} at {m['Target']}".replace("  ", " ")
        for m in host.get("Mounts") or []
    )
    yield from (f"tmpfs at {path}" for path in host.get("Tmpfs") or {})


def _network(name: str, endpoint: Json) -> str:
    addresses = [value for value in (endpoint.get("IPAMConfig") or {}).values() if isinstance(value, str)]
    known = " ".join([*(endpoint.get("Aliases") or []), *addresses])
    return f"{name} as {known}" if known else name


def _ports(host: Json) -> Iterator[str]:
    for port, bindings in (host.get("PortBindings") or {}).items():
        for binding in bindings or []:
            address = binding.get("HostIp") or "every address"
            yield f"{port} at {address}:{binding.get('HostPort') or 'any'}"
    if host.get("PublishAllPorts"):
        yield "all that are exposed, at any"


def _limits(host: Json) -> Iterator[str]:
    if host.get("NanoCpus"):
        yield f"{host['NanoCpus'] / 1e9:g} CPUs"
    if host.get("Memory"):
        yield f"{host['Memory'] / 1024**2:,.10g} MiB"
    if (host.get("PidsLimit") or 0) > 0:
        yield f"{host['PidsLimit']} processes"


def _stop(asked: int) -> str:
    given = stop_seconds(asked)
    wanted = f"{asked} s" if asked > 0 else "any time"
    return (
        "" if given == asked else f"it asks for {wanted} to stop: dockmgr gives it {given} s, then kills it"
    )


def _restart_policy(policy: Json) -> str:
    most = policy.get("MaximumRetryCount") or 0
    return str(policy.get("Name") or "no") + (f", at most {most} times" if most else "")


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)
