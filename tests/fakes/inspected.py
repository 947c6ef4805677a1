"""What an engine says of containers and images, in its own words, made from what it was told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from instances.containers.facts import Attachment, ContainerFacts, ImageFacts

Json = dict[str, Any]


def image_answer(image: ImageFacts, tags: list[str]) -> Json:
    return {
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": list(image.digests),
        "Architecture": image.architecture,
        "Config": {
            "Labels": dict(image.labels),
            "Volumes": {path: {} for path in image.volumes},
            "ExposedPorts": {f"{port}/tcp": {} for port in image.exposed_ports},
            "Env": [f"{name}={value}" for name, value in image.env.items()],
        },
    }


def container_answer(facts: ContainerFacts, told: Json, image: ImageFacts) -> Json:
    """`told` is the configuration the container was created with, with all its networks."""
    defaults = image_answer(image, [])["Config"]
    config = {key: value for key, value in told.items() if key not in ("HostConfig", "NetworkingConfig")}
    named = {line.partition("=")[0] for line in config["Env"]}
    inherited = [line for line in defaults["Env"] if line.partition("=")[0] not in named]
    merged = {key: {**defaults[key], **config.get(key, {})} for key in ("Labels", "Volumes", "ExposedPorts")}
    return {
        "Id": facts.id,
        "Name": f"/{facts.name}",
        "Image": facts.image_id,
        "RestartCount": facts.restart_count,
        "State": _state(facts),
        "Config": {"Hostname": facts.id[:12], **config, **merged, "Env": [*config["Env"], *inherited]},
        "HostConfig": told["HostConfig"],
        "Mounts": [
            *map(_mount, told["HostConfig"].get("Binds") or []),
            *map(_mounted, told["HostConfig"].get("Mounts") or []),
        ],
        "NetworkSettings": {
            "Ports": {f"{port}/tcp": _bound(*binding) for port, binding in facts.ports.items()},
            "Networks": {
                name: {**endpoint, **_place(facts.networks.get(name))}
                for name, endpoint in told.get("NetworkingConfig", {}).get("EndpointsConfig", {}).items()
            },
        },
    }


def _state(facts: ContainerFacts) -> Json:
    return {
        "Status": facts.state,
        "ExitCode": facts.exit_code or 0,
        "OOMKilled": facts.oom_killed,
        "StartedAt": _time(facts.started_at),
        "FinishedAt": _time(facts.ended_at),
    }


def _place(attachment: Attachment | None) -> Json:
    return {"IPAddress": attachment.address} if attachment and attachment.address else {}


def _time(moment: datetime | None) -> str:
    return moment.isoformat() if moment else "0001-01-01T00:00:00Z"


def _mount(bind: str) -> Json:
    source, target, *mode = bind.split(":")
    kind = (
        {"Type": "bind", "Source": source} if source.startswith("/") else {"Type": "volume", "Name": source}
    )
    return {**kind, "Destination": target, "RW": mode != ["ro"]}


def _mounted(mount: Json) -> Json:
    named = {"Name": mount["Source"]} if mount["Type"] == "volume" else {"Source": mount["Source"]}
    return {
        "Type": mount["Type"], **named, "Destination": mount["Target"], "RW": not mount.get("ReadOnly", False)
    }  # fmt: skip


def _bound(address: str, port: int) -> list[Json]:
    return [{"HostIp": address, "HostPort": str(port)}]
