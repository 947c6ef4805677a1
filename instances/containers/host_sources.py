"""Files and folders of the host that an adopted container mounts: made where missing, or refused. Pure.

An engine makes an empty folder for what `Binds` names and is not there, and refuses what `Mounts` names and
is not there.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})


def checking_sources(document: Json) -> Json:
    """The document told so that an engine refuses to make a container when something of the host is missing.

    What only `Binds` can say is left where it is.
    """
    return {**document, "HostConfig": with_checked_sources(document["HostConfig"])}


def with_checked_sources(host: Json) -> Json:
    binds = host.get("Binds") or []
    mounts = [(bind, _as_mount(bind)) for bind in binds]
    if not any(mount for _, mount in mounts):
        return host
    left = [bind for bind, mount in mounts if mount is None]
    moved = [mount for _, mount in mounts if mount is not None]
    return {**host, "Binds": left or None, "Mounts": [*(host.get("Mounts") or []), *moved]}


def mounts_of_host(host: Json) -> bool:
    """Whether something of the host is mounted that an engine can be made to look for."""
    return any(mount["Type"] == "bind" for mount in with_checked_sources(host).get("Mounts") or [])


def making_sources(document: Json) -> Json:
    """The document told so that an engine makes what is missing of the host, as empty folders."""
    host = document["HostConfig"]
    told = [(mount, _as_bind(mount)) for mount in host.get("Mounts") or []]
    left = [mount for mount, bind in told if not bind]
    made = [bind for _, bind in told if bind]
    return {**document, "HostConfig": {**host, "Mounts": left, "Binds": [*(host.get("Binds") or []), *made]}}


def _as_mount(bind: str) -> Json | None:
    """A bind of a file or folder of the host as a mount; None for a volume, or what a mount can't say."""
    source, target, *rest = bind.split(":")[:3] if ":" in bind else (bind, "")
    modes = [mode for mode in (rest[0].split(",") if rest else []) if mode != "rw"]
    propagation = [mode for mode in modes if mode in _PROPAGATIONS]
    other = [mode for mode in modes if mode not in (*_PROPAGATIONS, "ro")]
    if not source.startswith("/") or not target or other:
        return None
    mount: Json = {"Type": "bind", "Source": source, "Target": target}
    mount |= {"ReadOnly": True} if "ro" in modes else {}
    return {**mount, "BindOptions": {"Propagation": propagation[0]}} if propagation else mount


def _as_bind(mount: Json) -> str:
    """A mount of the host as a bind; empty for what a bind can't say."""
    options = dict(mount.get("BindOptions") or {})
    propagation = options.pop("Propagation", "")
    if mount["Type"] != "bind" or any(options.values()):
        return ""
    modes = [*(["ro"] if mount.get("ReadOnly") else []), *([propagation] if propagation else [])]
    return ":".join([mount["Source"], mount["Target"], *([",".join(modes)] if modes else [])])
