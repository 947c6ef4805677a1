"""How a container reaches its host beyond its own walls, read from the configuration it is made with. Pure.

Where a symbolic link of the host leads to, or what a volume made by hand stands for, can't be seen from here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]

# Beneath these everything is the host's own, whoever only reads it.
_TREES = (
    "/bin", "/boot", "/dev", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr",
    "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/dockmgr", "/var/lib/kubelet",
    "/var/lib/systemd", "/var/run", "/var/spool/cron",
    "/etc/cron.d", "/etc/cron.daily", "/etc/cron.hourly", "/etc/cron.monthly", "/etc/cron.weekly",
    "/etc/crontab", "/etc/docker", "/etc/group", "/etc/gshadow", "/etc/init.d", "/etc/kubernetes",
    "/etc/ld.so.preload", "/etc/pam.d", "/etc/passwd", "/etc/security", "/etc/shadow", "/etc/ssh",
    "/etc/ssl/private", "/etc/sudoers", "/etc/sudoers.d", "/etc/systemd",
)  # fmt: skip
_WHOLE = frozenset({"/home", "/var/log", "/var/spool", "/opt", "/srv", "/mnt", "/media"})
_TO_READ = "/etc"  # what is beneath may be read, and not be written
_KEYS = frozenset({".ssh", ".docker", ".kube", ".gnupg", ".aws"})
_SOCKETS = frozenset({"docker.sock", "containerd.sock", "podman.sock", "crio.sock", "dockerd.sock"})
_HARMLESS = frozenset({"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"})
# Not that of control groups: engines on older kernels give the host's to every container.
_NAMESPACES = {
    "PidMode": "processes",
    "NetworkMode": "network",
    "IpcMode": "shared memory",
    "UTSMode": "host name",
    "UsernsMode": "users",
}
_CAPABILITIES = frozenset(
    {
        "ALL", "AUDIT_CONTROL", "AUDIT_READ", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK",
        "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "PERFMON", "SYSLOG", "SYS_ADMIN",
        "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE",
        "SYS_TIME", "WAKE_ALARM",
    }
)  # fmt: skip
_SHARED = frozenset({"shared", "rshared"})
_BY_PLAN = ("device ", "GPU", "capability ", "security option ")


def reach(host: Json, mounts: Iterable[Json] = ()) -> tuple[str, ...]:
    """Each way to the host in a container's `HostConfig`, in few words, in order.

    `mounts` are those an engine says an existing container has: they know what other containers lent it.
    """
    return tuple(
        dict.fromkeys([*_walls(host), *_mounted(host), *_lent(mounts), *_devices(host), *_rights(host)])
    )


def of_options(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The same of what a plan says, in the words of its options."""
    devices = [{"PathOnHost": device.partition(":")[0]} for device in options.get("devices") or []]
    said = {
        "CapAdd": options.get("cap_add"),
        "SecurityOpt": options.get("security_opt"),
        "Devices": devices,
        "DeviceRequests": options.get("gpus"),
    }
    return reach(said)


def by_plan(items: Iterable[str]) -> list[str]:
    """Those that a plan can say, and has said when they are there: its keys are the word for them."""
    return [item for item in items if item.startswith(_BY_PLAN)]


def unaccepted(items: Iterable[str], accepted: Iterable[str]) -> list[str]:
    known = set(accepted)
    return [item for item in items if item not in known]


def refusal(container: str, items: Iterable[str]) -> str:
    """What there is to say of a container that is not adopted for it."""
    return (
        f"The container {container} reaches its host ({', '.join(items)}): whoever has it may have the host. "
        "Adopt it with --accept-host-access if that is meant."
    )


def _walls(host: Json) -> Iterator[str]:
    if host.get("Privileged"):
        yield "privileged"
    for key, what in _NAMESPACES.items():
        if host.get(key) == "host":
            yield f"the host's {what}"


def _mounted(host: Json) -> Iterator[str]:
    for bind in host.get("Binds") or []:
        source, _, rest = bind.partition(":")
        modes = set(rest.partition(":")[2].split(","))
        yield from _path(source, "ro" in modes, bool(modes & _SHARED))
    for mount in host.get("Mounts") or []:
        options = mount.get("BindOptions") or {}
        shared = options.get("Propagation") in _SHARED
        source = str(mount.get("Source") or "")
        if mount.get("Type") == "bind":
            yield from _path(source, bool(mount.get("ReadOnly")), shared)
        driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
        yield from _driver(driver.get("Options") or {})
    for other in host.get("VolumesFrom") or []:
        yield f"volumes of container {other.partition(':')[0]}"


def _driver(options: Mapping[str, str]) -> Iterator[str]:
    device = str(options.get("device") or "")
    if device.startswith("/"):
        yield f"mount {device}"


def _lent(mounts: Iterable[Json]) -> Iterator[str]:
    for mount in mounts:
        if mount.get("Type") == "bind":
            yield from _path(str(mount.get("Source") or ""), mount.get("RW") is False, False)


def _path(source: str, read_only: bool, shared: bool) -> Iterator[str]:
    """A file or folder of the host, if it is one that leads further. A name without a slash is a volume."""
    if not source.startswith("/"):
        return
    path = "/" + posixpath.normpath(source).strip("/")
    if _is_systems(path, read_only):
        yield f"mount {path}"
    if shared:
        yield f"mounts made below {path}"


def _is_systems(path: str, read_only: bool) -> bool:
    names = path.split("/")
    if names[-1] in _SOCKETS or _KEYS & set(names) or path in _WHOLE:
        return True
    if any(_within(path, tree) or _within(tree, path) for tree in _TREES):
        return True
    return path == _TO_READ or (_within(path, _TO_READ) and not read_only)


def _within(path: str, tree: str) -> bool:
    return path == tree or tree == "/" or path.startswith(f"{tree}/")


def _devices(host: Json) -> Iterator[str]:
    for device in host.get("Devices") or []:
        if device["PathOnHost"] not in _HARMLESS:
            yield f"device {device['PathOnHost']}"
    yield from (f"device rule {rule}" for rule in host.get("DeviceCgroupRules") or [])
    if host.get("DeviceRequests"):
        yield "GPU"


def _rights(host: Json) -> Iterator[str]:
    added = {str(name).upper().removeprefix("CAP_") for name in host.get("CapAdd") or []}
    yield from (f"capability {name}" for name in sorted(added & _CAPABILITIES))
    for option in host.get("SecurityOpt") or []:
        name, _, said = str(option).replace(":", "=", 1).partition("=")
        if said in ("unconfined", "disable"):
            yield f"security option {name}={said}"
        elif name == "seccomp" and said != "builtin":
            yield "security option seccomp with a profile of its own"
    if host.get("MaskedPaths") == []:
        yield "system paths unmasked"
