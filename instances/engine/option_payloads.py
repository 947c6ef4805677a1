"""A container's options in the words of the Docker Engine API, both ways. Pure."""

from __future__ import annotations

from typing import Any

from instances.containers.options import Logging
from instances.containers.spec import ContainerSpec
from instances.engine import podman_words

Json = dict[str, Any]
_EVERY_ACCESS = "rwm"


def config_of(spec: ContainerSpec) -> Json:
    """The container's side; what the spec leaves to the image is not in it."""
    options = spec.options
    said = {
        "Cmd": None if options.command is None else list(options.command),
        # [""] is how an entrypoint is cleared.
        "Entrypoint": None if options.entrypoint is None else list(options.entrypoint) or [""],
        "User": options.user,
        "WorkingDir": options.working_dir,
        "Hostname": options.hostname,
        "StopSignal": options.stop_signal,
    }
    return {key: value for key, value in said.items() if value}


def host_config_of(spec: ContainerSpec) -> Json:
    """The host's side."""
    options = spec.options
    said: Json = {
        "Tmpfs": options.tmpfs,
        "Ulimits": [{"Name": n, "Soft": s, "Hard": h} for n, (s, h) in sorted(options.ulimits.items())],
        "Sysctls": options.sysctls,
        "ExtraHosts": list(options.extra_hosts),
        "Dns": list(options.dns),
        "CapAdd": list(options.cap_add),
        "CapDrop": list(options.cap_drop),
        "ReadonlyRootfs": options.read_only,
        "Devices": [_device(device) for device in options.devices],
        "DeviceRequests": [_gpus(options.gpus)] if options.gpus else [],
    }
    return {
        **{key: value for key, value in said.items() if value},
        "Init": options.init,
        "ShmSize": options.shm_size,
        "LogConfig": {"Type": options.logging.driver, "Config": dict(options.logging.options)},
    }


def _device(device: str) -> Json:
    source, target, modes = device.split(":")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": modes}


def _gpus(count: int) -> Json:
    return {"Count": count, "Capabilities": [["gpu"]]}


def told_by_image(config: Json) -> Json:
    """What an image says of the containers made from it, by the words of options."""
    folder = config.get("WorkingDir") or ""
    return {
        "command": tuple(config.get("Cmd") or ()),
        "entrypoint": tuple(word for word in config.get("Entrypoint") or () if word),
        "user": config.get("User") or "",
        "working_dir": "" if folder == "/" else folder,
        "stop_signal": config.get("StopSignal") or "",
    }


def told_by_container(described: Json) -> Json:
    """What an inspected container has, by the words of options."""
    config, host = described["Config"], described["HostConfig"]
    hostname = config.get("Hostname") or ""
    log = host.get("LogConfig") or {}
    stop = config.get("StopTimeout")
    return {
        **told_by_image(config),
        **({} if stop is None else {"stop_timeout": stop}),
        "hostname": "" if described["Id"].startswith(hostname) else hostname,
        "init": bool(host.get("Init")),
        "tmpfs": host.get("Tmpfs") or {},
        "shm_size": host.get("ShmSize") or 0,
        "ulimits": {u["Name"]: (u["Soft"], u["Hard"]) for u in host.get("Ulimits") or []},
        **_told_sysctls(described),
        "extra_hosts": tuple(host.get("ExtraHosts") or ()),
        "dns": tuple(host.get("Dns") or ()),
        "cap_drop": tuple(sorted(name.removeprefix("CAP_") for name in host.get("CapDrop") or ())),
        "read_only": bool(host.get("ReadonlyRootfs")),
        "devices": tuple(_told_device(device, described) for device in host.get("Devices") or ()),
        "gpus": sum(_told_gpus(asked) for asked in host.get("DeviceRequests") or ()),
        "logging": Logging.model_construct(driver=log.get("Type") or "", options=log.get("Config")),
    }


def _told_sysctls(described: Json) -> Json:
    told = described["HostConfig"].get("Sysctls")
    return {} if told is None and podman_words.is_its(described) else {"sysctls": told or {}}


def _told_device(device: Json, described: Json) -> str:
    source = device["PathOnHost"]
    modes = "" if podman_words.is_its(described) else f":{device.get('CgroupPermissions') or _EVERY_ACCESS}"
    return f"{source}:{device.get('PathInContainer') or source}{modes}"


def _told_gpus(asked: Json) -> int:
    of_gpus = any("gpu" in wanted for wanted in asked.get("Capabilities") or ())
    return int(asked.get("Count") or 0) if of_gpus else 0
