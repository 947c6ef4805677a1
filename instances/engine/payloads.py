"""Pure translation between our values and the JSON of the Docker Engine API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from sys import intern
from typing import Any

import msgspec

from instances.containers import adoption
from instances.containers.facts import ContainerFacts, ContainerSummary, own_address
from instances.containers.identity import DEAD, REMOVING
from instances.containers.spec import ContainerSpec
from instances.engine import podman_words
from instances.engine.answers import (
    CONTAINER,
    LISTED,
    VOLUME,
    ListOf,
    UnreadableAnswerError,
    fitting,
    readable,
)
from instances.engine.network_payloads import attachments
from instances.engine.option_payloads import config_of, host_config_of, told_by_container
from instances.errors import RequestError

Json = dict[str, Any]


_NEVER_ENDED = {"created", "running", "paused"}
_FIRST_YEAR = 1970  # the engine's zero time is in the year 1
_PORT = re.compile(r"[0-9]{1,5}/(?:tcp|udp)")
_VOLUME_FOLDER = re.compile(r".*/volumes/([^/]+)/_data")
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)$")
_LAST_PORT = 65535


def create_arguments(spec: ContainerSpec) -> Json:
    """What `create_container_from_config` is told: the container's name and its whole configuration.

    Swap equals memory, which leaves the container none beyond its memory. A host port of 0 lets the
    engine choose. The volume is mounted by name, never by a path of the host. An adopted container
    is what it was.
    """
    if spec.raw is not None:
        return adoption.render(
            spec.raw,
            name=spec.name,
            image=spec.image,
            labels=spec.labels,
            env=spec.env,
            port=(spec.container_port, spec.host_port) if spec.host_port else None,
        )
    return {
        "name": spec.name,
        "config": {
            "Image": spec.image,
            "Env": [f"{key}={value}" for key, value in sorted(spec.env.items())],
            "Labels": dict(spec.labels),
            "ExposedPorts": {port: {} for port in spec.ports},
            "StopTimeout": spec.stop_timeout,
            **config_of(spec),
            "HostConfig": _host_config(spec),
        },
    }


def networks_to_join(spec: ContainerSpec) -> list[tuple[str, Json]]:
    """Networks a container joins after its creation, each with its endpoint's configuration."""
    return adoption.further_networks(spec.raw) if spec.raw is not None else []


def _host_config(spec: ContainerSpec) -> Json:
    return {
        "NanoCpus": spec.nano_cpus,
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        "PidsLimit": spec.pids_limit,
        "PortBindings": {
            port: [{"HostIp": spec.bind_address, "HostPort": str(number)}]
            for port, number in spec.ports.items()
        },
        "Mounts": [{"Type": "volume", "Source": name, "Target": path} for name, path in spec.volumes.items()],
        "RestartPolicy": {"Name": spec.restart_policy},
        **({"NetworkMode": spec.network} if spec.network else {}),
        "SecurityOpt": list(spec.security_opt),
        **host_config_of(spec),
    }


def rows_of(answer: bytes) -> Iterator[object]:
    """The rows of a list, each parsed when it is its turn: a whole one takes ten times its length in memory.

    Raises ValueError for what is no list.
    """
    return map(msgspec.json.decode, msgspec.json.decode(answer, type=list[msgspec.Raw]))


def container_summaries(listed: Iterable[object]) -> list[ContainerSummary]:
    """The engine's container list; a row that can't be read costs that row.

    What two callers removed at once Docker may go on listing until it is started anew, without a name: it is
    gone, as asking for it tells.
    """
    rows = []
    for row in listed:
        with suppress(UnreadableAnswerError):
            rows.append(container_summary(row))
    return [row for row in rows if row.name or row.state not in (REMOVING, DEAD)]


def container_summary(answer: object) -> ContainerSummary:
    """One row of the engine's container list. Raises UnreadableAnswerError.

    A sweep keeps the rows of many hosts, so what many of them say alike is kept once.
    """
    row = readable(answer, LISTED, "Id", "State")
    mounts = row.get("Mounts")
    named = [mount for mount in mounts or () if mount["Name"]]
    written = {mount["Name"] for mount in named if mount.get("RW") is not False}
    mode = (row.get("HostConfig") or {}).get("NetworkMode") or "default"
    return ContainerSummary(
        id=row["Id"],
        name=_own_name(row.get("Names") or []),
        state=intern(row["State"]),
        image_id=intern(row.get("ImageID") or ""),
        labels=row.get("Labels") or {},
        health=_listed_health(row.get("Status") or ""),
        address=own_address(mode, attachments(row)),
        network_mode=mode,
        volumes=None if mounts is None else tuple(mount["Name"] for mount in named),
        read_only=tuple(mount["Name"] for mount in named if mount["Name"] not in written),
    )


def _listed_health(status: str) -> str:
    """The word at the end of `Up 2 minutes (healthy)`."""
    found = _HEALTH.search(status)
    return found[1] if found else ""


def users_of(answer: object, volume: str) -> list[str]:
    """Names of the listed containers that mount the volume. Raises UnreadableAnswerError."""
    rows = answer if isinstance(answer, list) else []
    return [summary.name for summary in container_summaries(rows) if volume in (summary.volumes or ())]


def _own_name(names: list[str]) -> str:
    """The container's own name: names another container gave it by a link have a second slash."""
    return next((name[1:] for name in names if name.rfind("/") == 0), "")


def container_described(answer: object) -> Json:
    """The engine's answer to inspecting a container, in its own words, without what has another form.

    What Podman adds of its own accord is left out. Raises UnreadableAnswerError.
    """
    described = readable(answer, CONTAINER, "Id", "State")
    readable(described["State"], CONTAINER["State"], "Status")
    parts = {part: described.get(part) or {} for part in ("Config", "HostConfig")}
    parts["Mounts"] = [_with_name(mount) for mount in described.get("Mounts") or []]
    return podman_words.without_its_own({**described, **parts})


def _with_name(mount: Json) -> Json:
    """A mount with its volume's name: Docker 28 leaves it out where a bind says no more than a path."""
    if mount["Type"] != "volume" or mount.get("Name"):
        return mount
    found = _VOLUME_FOLDER.fullmatch(mount.get("Source") or "")
    return {**mount, "Name": found[1]} if found else mount


def container_facts(answer: object) -> ContainerFacts:
    """The engine's answer to inspecting a container. Raises UnreadableAnswerError."""
    described = container_described(answer)
    state, config, host = described["State"], described["Config"], described["HostConfig"]
    mounts = described.get("Mounts") or []
    return ContainerFacts(
        id=described["Id"],
        name=(described.get("Name") or "").lstrip("/"),
        state=state["Status"],
        exit_code=None if state["Status"] in _NEVER_ENDED else state.get("ExitCode"),
        oom_killed=bool(state.get("OOMKilled")),
        restart_count=described.get("RestartCount") or 0,
        started_at=parse_time(state.get("StartedAt") or ""),
        image_id=described.get("Image") or "",
        image_ref=config.get("Image") or "",
        labels=config.get("Labels") or {},
        env=environment(config.get("Env") or []),
        nano_cpus=host.get("NanoCpus") or 0,
        memory=host.get("Memory") or 0,
        pids_limit=_limit(host.get("PidsLimit")),
        restart_policy=(host.get("RestartPolicy") or {}).get("Name") or "no",
        volumes=_volumes(mounts),
        ports=_ports(described, "tcp"),
        udp_ports=_ports(described, "udp"),
        privileged=bool(host.get("Privileged")),
        security_opt=tuple(host.get("SecurityOpt") or ()),
        cap_add=tuple(host.get("CapAdd") or ()),
        network_mode=podman_words.network_mode(described),
        ended_at=parse_time(state.get("FinishedAt") or ""),
        binds=tuple(m["Destination"] for m in mounts if m["Type"] not in ("volume", "tmpfs")),
        options=told_by_container(described),
        health=(state.get("Health") or {}).get("Status") or "",
        networks=attachments(described),
        added_env=environment(described.get(podman_words.ADDED) or []),
    )


def has_terminal(answer: object) -> bool:
    """Whether the inspected container has one: its log is then not framed. Raises UnreadableAnswerError."""
    return bool(readable(answer, CONTAINER, "Config")["Config"].get("Tty"))


def volume_labels(answer: object) -> dict[str, str]:
    """The labels in the engine's answer to inspecting a volume. Raises UnreadableAnswerError."""
    return readable(answer, VOLUME).get("Labels") or {}


def labels_by_volume(answer: object) -> dict[str, dict[str, str]]:
    """The engine's list of volumes, by name; an entry that can't be read costs that entry."""
    rows = (fitting(answer, {"Volumes": ListOf(VOLUME, ("Name",))}) or {}).get("Volumes") or []
    return {row["Name"]: row.get("Labels") or {} for row in rows}


def log_tail(lines: object) -> int:
    """The number of last lines to ask for: the engine takes anything but a natural number for "all of it".

    Raises RequestError.
    """
    if isinstance(lines, bool) or not isinstance(lines, int) or lines < 1:
        raise RequestError(f"The number of log lines must be a whole number from 1, not {lines!r}.")
    return lines


def parse_time(text: str) -> datetime | None:
    """An aware datetime (microseconds at most), or None for the engine's zero time and for what is none."""
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None or moment.astimezone(UTC).year < _FIRST_YEAR else moment
    except (ValueError, OverflowError):
        return None


def environment(lines: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def _limit(value: int | None) -> int | None:
    return value if value and value > 0 else None


def _volumes(mounts: list[Json]) -> dict[str, str]:
    named = (mount for mount in mounts if mount["Type"] == "volume" and mount.get("Name"))
    return {mount["Name"]: mount["Destination"] for mount in named}


def _ports(answer: Json, protocol: str) -> dict[int, tuple[str, int]]:
    """What is asked for, overlaid by what a running container really has: the engine may have chosen."""
    asked = answer["HostConfig"].get("PortBindings") or {}
    actual = (answer.get("NetworkSettings") or {}).get("Ports") or {}
    bindings = {**asked, **{port: bound for port, bound in actual.items() if bound}}
    first = {port: bound[0] for port, bound in bindings.items() if bound}
    return {
        _inner(port): (binding.get("HostIp") or "", _number(binding))
        for port, binding in first.items()
        if _is_of(protocol, port)
    }


def _number(binding: Json) -> int:
    """The host's port, or 0 where the engine is to choose one, be it from a range."""
    port = str(binding.get("HostPort") or "")
    return int(port) if port.isdecimal() and len(port) <= 5 and int(port) <= _LAST_PORT else 0


def tcp_ports(ports: Iterable[str]) -> list[int]:
    return [_inner(port) for port in ports if _is_of("tcp", port)]


def _inner(port: str) -> int:
    return int(port.partition("/")[0])


def _is_of(protocol: str, port: str) -> bool:
    found = _PORT.fullmatch(port)
    return bool(found) and port.endswith(protocol) and 0 < _inner(port) <= _LAST_PORT
