"""What an existing container has beyond what its image says, and how to make that container again. Pure.

The document `derive` returns holds parts of the engine's own words (`Config`, `HostConfig`, and the
endpoint of each network), kept as they are wherever that is possible; it may hold secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from instances.containers.facts import short_id
from instances.containers.host_sources import with_checked_sources
from instances.containers.option_words import RESERVED_LABEL, shortest
from instances.containers.replacement import (
    as_first_asked,
    chosen_mac,
    is_chosen_by_engine,
    mac_differs,
    with_host_port,
)

Json = dict[str, Any]

# New for each container, or kept elsewhere (the environment in its own column).
_NOT_KEPT = frozenset({"Image", "Env", "Hostname", "MacAddress", "OnBuild", "Entrypoint", "Cmd"})
_BY_ENTRY = ("Labels", "ExposedPorts", "Volumes")
_ENDPOINT = ("IPAMConfig", "Links", "Aliases", "DriverOpts")
_DEFAULT_NETWORK = "bridge"


def derive(container: Json, image: Json) -> Json:
    """What to keep of an inspected container whose image, inspected too, says the rest.

    Its environment's values are not part of it (see `environment`), only names without a value,
    by which a container goes without a variable of its image. Anonymous volumes are named, so
    that the next container mounts the same ones.
    """
    mac = chosen_mac(container)
    return {
        "Config": _config(container, image.get("Config") or {}),
        "HostConfig": _host_config(container),
        "Networks": _networks(container),
        **({"MacAddress": mac} if mac else {}),
    }


def environment(container: Json, image: Json) -> dict[str, str]:
    """The variables a container was given: those its image sets to the same value are not among them."""
    own = _lines(container["Config"]) - _lines(image.get("Config") or {})
    lines = (line for line in container["Config"].get("Env") or [] if line in own)
    return {name: value for name, found, value in (line.partition("=") for line in lines) if found}


def _lines(config: Json) -> set[str]:
    return set(config.get("Env") or [])


def _config(container: Json, defaults: Json) -> Json:
    own = container["Config"]
    kept = {
        key: value
        for key, value in own.items()
        if key not in _NOT_KEPT and key not in _BY_ENTRY and _is_set(value) and value != defaults.get(key)
    }
    for key in _BY_ENTRY:
        kept[key] = _beyond(own.get(key) or {}, defaults.get(key) or {})
    kept["Labels"] = _others_labels(kept)
    bare = [line for line in own.get("Env") or [] if "=" not in line]
    kept |= {"Env": bare, **_command(own, defaults), **_hostname(container)}
    return {key: value for key, value in kept.items() if _is_set(value)}


def _is_set(value: object) -> bool:
    """Whether a value says something; the number 0 does (stop at once)."""
    return value is not None and value is not False and value not in ("", [], {})


def _beyond(own: Json, defaults: Json) -> Json:
    return {key: value for key, value in own.items() if key not in defaults or defaults[key] != value}


def _others_labels(config: Json) -> Json:
    """Labels without dockmgr's own: one that it made before carries those of another operation, or time."""
    labels: Json = config.get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(RESERVED_LABEL)}


def _command(own: Json, defaults: Json) -> Json:
    """Entrypoint and command. A container with an entrypoint of its own gets no command from the image."""
    entrypoint, command = own.get("Entrypoint"), own.get("Cmd")
    if (entrypoint or None) != (defaults.get("Entrypoint") or None):
        return {"Entrypoint": entrypoint or [""], "Cmd": command}  # [""] is how an entrypoint is cleared
    return {"Cmd": command if command != defaults.get("Cmd") else None}


def _hostname(container: Json) -> Json:
    name = container["Config"].get("Hostname")
    of_the_host = container["HostConfig"].get("UTSMode") == "host"
    return {} if of_the_host or name == short_id(container["Id"]) else {"Hostname": name}


def _host_config(container: Json) -> Json:
    host = container["HostConfig"]
    volumes = {
        mount["Destination"]: mount
        for mount in container.get("Mounts") or []
        if mount["Type"] == "volume" and mount.get("Name")
    }
    mounts = [_named(mount, volumes) for mount in host.get("Mounts") or []]
    binds = [bind for bind in host.get("Binds") or [] if ":" in bind]
    covered = set(_targets({"Binds": binds, "Mounts": mounts}))
    anonymous = [_bind(mount) for path, mount in sorted(volumes.items()) if path not in covered]
    changed: Json = {"Mounts": mounts} if mounts else {}
    if anonymous or binds != (host.get("Binds") or []):
        changed["Binds"] = [*binds, *anonymous]
    return {**host, **changed}


def with_dockers_limits(host: Json) -> Json:
    """Podman calls `nofile` as the kernel does, and tells CPUs twice; itself it takes neither."""
    limits = [{**u, "Name": u["Name"].lower().removeprefix("rlimit_")} for u in host.get("Ulimits") or []]
    twice = ("CpuPeriod", "CpuQuota") if host.get("NanoCpus") else ()
    kept = {key: value for key, value in host.items() if key not in twice}
    return {**kept, "Ulimits": limits} if limits else kept


def _named(mount: Json, volumes: Json) -> Json:
    """A mount whose volume the engine named, with that name."""
    volume = volumes.get(shortest(mount["Target"]))
    anonymous = mount["Type"] == "volume" and not mount.get("Source") and volume
    return {**mount, "Source": volume["Name"]} if anonymous and volume else mount


def _bind(mount: Json) -> str:
    return f"{mount['Name']}:{mount['Destination']}{'' if mount.get('RW', True) else ':ro'}"


def _targets(host: Json) -> Iterator[str]:
    """Paths in the container that a host configuration mounts something at."""
    yield from (shortest(bind.split(":")[1]) for bind in host.get("Binds") or [] if ":" in bind)
    yield from (shortest(mount["Target"]) for mount in host.get("Mounts") or [])
    yield from (shortest(path) for path in host.get("Tmpfs") or {})


def mount_points(document: Json) -> set[str]:
    """Paths in the container at which it has something mounted."""
    return set(_targets(document["HostConfig"]))


def _networks(container: Json) -> Json:
    """The endpoint of each network by the network's name, the one joined at creation first."""
    found = (container.get("NetworkSettings") or {}).get("Networks") or {}
    mode = container["HostConfig"].get("NetworkMode") or "default"
    first = _DEFAULT_NETWORK if mode == "default" else mode
    ordered = sorted(found, key=lambda name: not _is_named(first, name, found[name]))
    return {name: _endpoint(found[name], container) for name in ordered}


def _is_named(wanted: str, name: str, endpoint: Json) -> bool:
    return name == wanted or str(endpoint.get("NetworkID") or "-").startswith(wanted)


def _endpoint(endpoint: Json, container: Json) -> Json:
    kept = {key: endpoint.get(key) for key in _ENDPOINT}
    return {**kept, "Aliases": _own_aliases(kept["Aliases"], container)}


def _own_aliases(aliases: list[str] | None, container: Json) -> list[str] | None:
    """The aliases somebody chose: the engine adds the short id and, after it, the host name."""
    short = short_id(container["Id"])
    given = aliases or []
    if short not in given:
        return aliases
    at = given.index(short)
    hostname = container["Config"].get("Hostname")
    return given[:at] + [alias for alias in given[at + 1 :] if alias != hostname] or None


def render(
    document: Json,
    *,
    name: str,
    image: str,
    labels: dict[str, str],
    env: dict[str, str],
    port: tuple[int, int] | None = None,
) -> Json:
    """What `create_container_from_config` is told to make such a container, under a name and on an image.

    An engine takes one network at creation; the container then joins `further_networks`. `port` is a
    port of the container and the host's to publish it on, where the engine would choose another one.
    """
    config, networks, mac = document["Config"], document["Networks"], document.get("MacAddress")
    # Older engines take a chosen hardware address of the container, newer ones of its endpoint.
    chosen = {"MacAddress": mac} if mac else {}
    host = with_dockers_limits(document["HostConfig"])  # earlier releases kept Podman's words
    host = with_host_port(host, *port) if port else host
    return {
        "name": name,
        "config": {
            **config,
            **chosen,
            "Image": image,
            "Env": [*(f"{key}={value}" for key, value in env.items()), *config.get("Env", [])],
            "Labels": {**_others_labels(config), **labels},
            "HostConfig": host,
            "NetworkingConfig": {
                "EndpointsConfig": {key: {**value, **chosen} for key, value in list(networks.items())[:1]}
            },
        },
    }


def further_networks(document: Json) -> list[tuple[str, Json]]:
    """Networks, with their endpoints, to join after creation."""
    return list(document["Networks"].items())[1:]


def _in_order(host: Json) -> Json:
    """Mounts by where they are mounted: what was made with empty folders has them in another order."""
    mounts = host.get("Mounts")
    return {**host, "Mounts": sorted(mounts, key=lambda mount: mount["Target"])} if mounts else host


def drift(document: Json, container: Json) -> list[str]:
    """Names of the fields in which an inspected container is not what the document keeps.

    Labels beyond those kept don't count: ours come with the first replacement.
    """
    networks, kept = _networks(container), with_dockers_limits(document["HostConfig"])
    unknown: Json = {name: {} for name in networks if name not in document["Networks"]}
    return sorted(
        [
            *_config_drift(
                {**document["Config"], "Labels": _others_labels(document["Config"])}, container["Config"]
            ),
            *_differing(
                "HostConfig",
                _in_order(with_checked_sources(kept)),
                _in_order(with_checked_sources(as_first_asked(kept, _host_config(container)))),
            ),
            *_differing("Networks", document["Networks"], networks),
            *_differing("Networks", unknown, {}),
            *(["MacAddress"] if mac_differs(document.get("MacAddress") or "", container) else []),
        ]
    )


def _differing(part: str, kept: Json, found: Json) -> Iterator[str]:
    for key, value in kept.items():
        if key not in found or _told(value) != _told(found[key]):
            yield f"{part}.{key}"


def _told(value: object) -> object:
    """A value without what says nothing: engines differ in how they write that."""
    if isinstance(value, dict):
        return {key: _told(entry) for key, entry in value.items() if _is_set(entry)}
    return value if _is_set(value) else None


def _config_drift(kept: Json, found: Json) -> Iterator[str]:
    for key, value in kept.items():
        if key in _BY_ENTRY:
            same = not _beyond(value, found.get(key) or {})
        elif key == "Env":
            same = set(value) <= _lines(found)
        elif key == "Entrypoint":
            same = value == (found.get(key) or [""])
        else:
            same = value == found.get(key)
        if not same:
            yield f"Config.{key}"


def chosen_port(published: Iterable[int], wanted: int) -> int | None:
    """The container port health is asked at: the wanted one if it is published, else the only one."""
    ports = sorted(published)
    if wanted in ports:
        return wanted
    return ports[0] if len(ports) == 1 else None


def port_changes(document: Json, port: int) -> bool:
    """Whether the engine chooses another host port at each start."""
    host = document["HostConfig"]
    bindings, name = host.get("PortBindings") or {}, f"{port}/tcp"
    return bool(name in bindings or host.get("PublishAllPorts")) and is_chosen_by_engine(bindings.get(name))
