"""Pure translation between our values and the JSON of the Docker Engine API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from instances.containers import adoption
from instances.containers.facts import ContainerFacts, ContainerSummary, EngineFacts, ImageFacts
from instances.containers.spec import ContainerSpec
from instances.errors import DockmgrError, RequestError

Json = dict[str, Any]

# The engine names its machine as the kernel does; images are named as Go does.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}

_NEVER_ENDED = {"created", "running", "paused"}
_ZERO_TIME = "0001-01-01T00:00:00"


def create_arguments(spec: ContainerSpec) -> Json:
    """What `create_container_from_config` is told: the container's name and its whole configuration.

    Swap equals memory, which leaves the container none beyond its memory. A host port of 0 lets the
    engine choose. The volume is mounted by name, never by a path of the host. An adopted container
    is what it was.
    """
    if spec.raw is not None:
        return adoption.render(spec.raw, name=spec.name, image=spec.image, labels=spec.labels, env=spec.env)
    port = f"{spec.container_port}/tcp"
    return {
        "name": spec.name,
        "config": {
            "Image": spec.image,
            "Env": [f"{key}={value}" for key, value in sorted(spec.env.items())],
            "Labels": dict(spec.labels),
            "ExposedPorts": {port: {}},
            "StopTimeout": spec.stop_timeout,
            "HostConfig": _host_config(spec, port),
        },
    }


def networks_to_join(spec: ContainerSpec) -> list[tuple[str, Json]]:
    """Networks a container joins after its creation, each with its endpoint's configuration."""
    return adoption.further_networks(spec.raw) if spec.raw is not None else []


def _host_config(spec: ContainerSpec, port: str) -> Json:
    return {
        "NanoCpus": spec.nano_cpus,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        "PidsLimit": spec.pids_limit,
        "PortBindings": {port: [{"HostIp": spec.bind_address, "HostPort": str(spec.host_port)}]},
        "Mounts": _mounts(spec),
        "RestartPolicy": {"Name": spec.restart_policy},
        "SecurityOpt": list(spec.security_opt),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": spec.log_max_size, "max-file": str(spec.log_max_files)},
        },
        "Init": spec.init,
    }


def _mounts(spec: ContainerSpec) -> list[Json]:
    if not (spec.volume and spec.data_path):
        return []
    return [{"Type": "volume", "Source": spec.volume, "Target": spec.data_path}]


def container_summary(row: Json) -> ContainerSummary:
    """One row of the engine's container list."""
    return ContainerSummary(
        id=row["Id"],
        name=_own_name(row.get("Names") or []),
        state=row["State"],
        image_id=row["ImageID"],
        labels=row.get("Labels") or {},
    )


def _own_name(names: list[str]) -> str:
    """The container's own name: names another container gave it by a link have a second slash."""
    return next((name[1:] for name in names if name.rfind("/") == 0), "")


def container_facts(answer: Json) -> ContainerFacts:
    """The engine's answer to inspecting a container."""
    state, config, host = answer["State"], answer["Config"], answer["HostConfig"]
    return ContainerFacts(
        id=answer["Id"],
        name=answer["Name"].lstrip("/"),
        state=state["Status"],
        exit_code=None if state["Status"] in _NEVER_ENDED else state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restart_count=answer["RestartCount"],
        started_at=parse_time(state["StartedAt"]),
        image_id=answer["Image"],
        image_ref=config["Image"],
        labels=config.get("Labels") or {},
        env=_env(config.get("Env") or []),
        nano_cpus=host.get("NanoCpus") or 0,
        memory=host.get("Memory") or 0,
        pids_limit=_limit(host.get("PidsLimit")),
        restart_policy=(host.get("RestartPolicy") or {}).get("Name") or "no",
        volumes=_volumes(answer.get("Mounts") or []),
        ports=_ports(answer),
        privileged=bool(host.get("Privileged")),
        security_opt=tuple(host.get("SecurityOpt") or ()),
        cap_add=tuple(host.get("CapAdd") or ()),
        network_mode=host.get("NetworkMode") or "default",
        binds=tuple(m["Destination"] for m in answer.get("Mounts") or [] if m["Type"] != "volume"),
    )


def image_facts(answer: Json) -> ImageFacts:
    """The engine's answer to inspecting an image."""
    config = answer.get("Config") or {}
    return ImageFacts(
        id=answer["Id"],
        labels=config.get("Labels") or {},
        volumes=tuple(config.get("Volumes") or ()),
        exposed_ports=tuple(_tcp_ports(config.get("ExposedPorts") or ())),
        architecture=answer.get("Architecture", ""),
        digests=tuple(answer.get("RepoDigests") or ()),
        env=_env(config.get("Env") or []),
    )


def engine_facts(answer: Json) -> EngineFacts:
    """The engine's answer to a request for information about itself."""
    machine = str(answer.get("Architecture", ""))
    return EngineFacts(
        architecture=ARCHITECTURES.get(machine, machine),
        cpus=int(answer.get("NCPU", 0)),
        memory=int(answer.get("MemTotal", 0)),
        root=str(answer.get("DockerRootDir", "")),
        id=str(answer.get("ID") or ""),
    )


def pull_progress(events: Iterable[Json], refuse: Callable[[str], DockmgrError]) -> Iterator[str]:
    """A short text whenever a layer enters another stage; the engine reports errors in the same stream."""
    stages: dict[str, str] = {}
    for event in events:
        if "error" in event:
            raise refuse(str(event["error"]))
        layer, stage = str(event.get("id", "")), str(event.get("status", ""))
        if stages.get(layer) != stage:
            stages[layer] = stage
            yield f"{layer} {stage}".strip()


def log_tail(lines: object) -> int:
    """The number of last lines to ask for: the engine takes anything but a natural number for "all of it".

    Raises RequestError.
    """
    if isinstance(lines, bool) or not isinstance(lines, int) or lines < 1:
        raise RequestError(f"The number of log lines must be a whole number from 1, not {lines!r}.")
    return lines


def parse_time(text: str) -> datetime | None:
    """An aware datetime (microseconds at most), or None for the engine's zero time."""
    return None if not text or text.startswith(_ZERO_TIME) else datetime.fromisoformat(text)


def _env(lines: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def _limit(value: int | None) -> int | None:
    return value if value and value > 0 else None


def _volumes(mounts: list[Json]) -> dict[str, str]:
    return {mount["Name"]: mount["Destination"] for mount in mounts if mount["Type"] == "volume"}


def _ports(answer: Json) -> dict[int, tuple[str, int]]:
    """What is asked for, overlaid by what a running container really has: the engine may have chosen."""
    asked = answer["HostConfig"].get("PortBindings") or {}
    actual = (answer.get("NetworkSettings") or {}).get("Ports") or {}
    bindings = {**asked, **{port: bound for port, bound in actual.items() if bound}}
    return {
        number: (bindings[f"{number}/tcp"][0].get("HostIp", ""), _number(bindings[f"{number}/tcp"][0]))
        for number in _tcp_ports(port for port, bound in bindings.items() if bound)
    }


def _number(binding: Json) -> int:
    """The host's port, or 0 where the engine is to choose one, be it from a range."""
    port = str(binding.get("HostPort") or "")
    return int(port) if port.isdecimal() else 0


def _tcp_ports(ports: Iterable[str]) -> list[int]:
    return [int(port.removesuffix("/tcp")) for port in ports if port.endswith("/tcp")]
