"""What Podman adds to its answers about a container that nobody asked for. Pure.

Left in, it would look as if somebody had changed the container, and its next one would be given it as a wish.
"""

from __future__ import annotations

from typing import Any

from instances.containers.adoption import with_dockers_limits
from instances.containers.networks import ENGINES_OWN

Json = dict[str, Any]

ADDED = "PodmanEnv"  # beside the engine's words: what it, or somebody as well, put into the environment
_MARK = "container=podman"  # in the environment of each of its containers
_ALWAYS_ITS_OWN = frozenset({_MARK, "HOME=", "HOME=/", "HOME=/root", "TERM=xterm"})
_ITS_ANNOTATIONS = ("io.podman.annotations.", "io.container.manager", "org.opencontainers.image.stopSignal",
                    "org.systemd.property.")  # fmt: skip
_ITS_NETWORK = "podman"
_EVERY_ACCESS = "rwm"


def without_its_own(described: Json) -> Json:
    """A described container without what Podman says of its own accord; any other engine's is as it was."""
    config = _config(described["Config"])
    return {
        **described,
        **_added(described["Config"], config),
        "Config": config,
        "HostConfig": _host_config(described["HostConfig"]),
    }


def is_its(described: Json) -> bool:
    """Whether Podman described the container, of which some things were left out."""
    return ADDED in described


def network_mode(described: Json) -> str:
    """The network a container was made in. Podman says `bridge` of each bridge, whatever its name."""
    mode = described["HostConfig"].get("NetworkMode") or "default"
    joined = (described.get("NetworkSettings") or {}).get("Networks") or {}
    if mode not in ENGINES_OWN or not joined or not joined.keys().isdisjoint({*ENGINES_OWN, _ITS_NETWORK}):
        return str(mode)
    return min(map(str, joined))


def _config(config: Json) -> Json:
    env = config.get("Env") or []
    if _MARK not in env:
        return config
    its_own = _ALWAYS_ITS_OWN | {f"HOSTNAME={config.get('Hostname') or ''}"}
    return {**config, "Env": [line for line in env if line not in its_own]}


def _added(told: Json, kept: Json) -> Json:
    """What was left out of the environment: `HOME=/root` is there also where somebody asked for it."""
    lines = [line for line in told.get("Env") or [] if line not in (kept.get("Env") or [])]
    return {ADDED: lines} if lines else {}


def _host_config(host: Json) -> Json:
    changed = dict(host)
    annotations = changed.pop("Annotations", None)
    if isinstance(annotations, dict):
        kept = {key: value for key, value in annotations.items() if not key.startswith(_ITS_ANNOTATIONS)}
        changed |= {"Annotations": kept} if kept else {}
    if host.get("Devices"):
        changed["Devices"] = [_device(device) for device in host["Devices"]]
    return with_dockers_limits(changed)


def _device(device: Json) -> Json:
    """Podman keeps to itself what may be done with a device, and makes none of which that is not said."""
    return {**device, "CgroupPermissions": device.get("CgroupPermissions") or _EVERY_ACCESS}
