"""Pure translation of what an engine says of images, of their pulls and of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from instances.containers.facts import EngineFacts, ImageFacts
from instances.engine.answers import IMAGE, INFO, ListOf, UnreadableAnswerError, readable
from instances.engine.option_payloads import told_by_image
from instances.engine.payloads import environment, parse_time, tcp_ports
from instances.engine.port import RegistryLogin
from instances.errors import DockmgrError

Json = dict[str, Any]

# The engine names its machine as the kernel does; images are named as Go does.
ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "loongarch64": "loong64",
    **dict.fromkeys(("armv5tel", "armv6l", "armv7l", "armv8l"), "arm"),
    **dict.fromkeys(("i386", "i486", "i586", "i686"), "386"),
}

_LIMITS = {"CpuCfsQuota": "cpus", "MemoryLimit": "memory", "PidsLimit": "pids"}
_API_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,4}")
_VERSION = {"ApiVersion": str, "Components": ListOf({"Name": str}, ("Name",))}
_PODMAN = "Podman Engine"


def image_described(answer: object) -> Json:
    """As `container_described`, of an image."""
    return readable(answer, IMAGE, "Id")


def image_facts(answer: object) -> ImageFacts:
    """The engine's answer to inspecting an image. Raises UnreadableAnswerError."""
    described = image_described(answer)
    config = described.get("Config") or {}
    return ImageFacts(
        id=described["Id"],
        labels=config.get("Labels") or {},
        volumes=tuple(config.get("Volumes") or ()),
        exposed_ports=tuple(tcp_ports(config.get("ExposedPorts") or ())),
        architecture=described.get("Architecture") or "",
        digests=tuple(described.get("RepoDigests") or ()),
        env=environment(config.get("Env") or []),
        options=told_by_image(config),
        has_healthcheck=_has_healthcheck(config.get("Healthcheck") or {}),
    )


def _has_healthcheck(said: Json) -> bool:
    return (said.get("Test") or ["NONE"])[0] not in ("NONE", "")


def engine_facts(answer: object, *, is_podman: bool = False) -> EngineFacts:
    """The engine's answer to a request for information about itself. Raises UnreadableAnswerError.

    Podman calls itself something else each time it is asked, which is as good as no name.
    """
    info = readable(answer, INFO)
    machine = info.get("Architecture") or ""
    return EngineFacts(
        architecture=ARCHITECTURES.get(machine, machine),
        cpus=info.get("NCPU") or 0,
        memory=info.get("MemTotal") or 0,
        root=info.get("DockerRootDir") or "",
        id="" if is_podman else info.get("ID") or "",
        version=info.get("ServerVersion") or "",
        driver=info.get("Driver") or "",
        security=tuple(info.get("SecurityOptions") or ()),
        lacking=tuple(word for key, word in _LIMITS.items() if info.get(key) is False),
        time=parse_time(info.get("SystemTime") or ""),
        is_podman=is_podman,
    )


def api_version(answer: object) -> tuple[str, bool]:
    """The version of its interface an engine names, and if it is Podman. Raises UnreadableAnswerError."""
    told = readable(answer, _VERSION, "ApiVersion")
    version = str(told["ApiVersion"])
    if not _API_VERSION.fullmatch(version):
        raise UnreadableAnswerError("a version that is none")
    return version, any(part["Name"] == _PODMAN for part in told.get("Components") or ())


def pull_progress(events: Iterable[object], refuse: Callable[[str], DockmgrError]) -> Iterator[str]:
    """A short text whenever a layer enters another stage; the engine reports errors in the same stream."""
    stages: dict[str, str] = {}
    for event in events:
        if not isinstance(event, dict):
            continue
        if event.get("error"):
            raise refuse(str(event["error"]))
        layer, stage = str(event.get("id", "")), str(event.get("status", ""))
        if stages.get(layer) != stage:
            stages[layer] = stage
            yield f"{layer} {stage}".strip()


def registry_auth(login: RegistryLogin | None) -> Json:
    """Who an engine is told to be at a registry."""
    if login is None:
        return {}
    said = {
        "username": login.username,
        "password": login.password,
        "registrytoken": login.token,
        "identitytoken": login.identity,
    }
    return {key: value for key, value in said.items() if value}
