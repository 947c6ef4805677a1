"""What an engine says of containers, images and itself, reduced to what is decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ID_LENGTH = 64
SHORT_LENGTH = 12


def short_id(which: str) -> str:
    """The id of a container or an image in the short form that people know; a name as it is."""
    digits = which.removeprefix("sha256:")
    return digits[:SHORT_LENGTH] if len(digits) == ID_LENGTH else digits


@dataclass(frozen=True, slots=True)
class ContainerSummary:
    """One line of a host's container list. `state` is the engine's word: running, exited, …

    `health` is what the image's own health check says, empty without one. `address` is its own, in its first
    network, while it runs. `network_mode` is the engine's word for the network it was made in. `volumes` are
    the names of those it mounts, None where the list does not tell, as Podman's; of them it only reads those
    that are `read_only`.
    """

    id: str
    name: str
    state: str
    image_id: str
    labels: dict[str, str] = field(default_factory=dict)
    health: str = ""
    address: str = ""
    network_mode: str = ""
    volumes: tuple[str, ...] | None = None
    read_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attachment:
    """A container's place in a network: the network's id, and its address there while it runs."""

    network_id: str
    address: str = ""


def own_address(mode: str, networks: Mapping[str, Attachment]) -> str:
    """A container's address in the network it was made in, or else in the first that gives it one."""
    first = "bridge" if mode == "default" else mode
    ordered = sorted(networks.items(), key=lambda item: (item[0] != first, item[0]))
    return next((place.address for _, place in ordered if place.address), "")


@dataclass(frozen=True)
class NetworkFacts:
    """A network of an engine; `gateway` is the host's own address in it."""

    id: str
    name: str
    driver: str
    options: dict[str, str]
    labels: dict[str, str]
    internal: bool = False
    gateway: str = ""


@dataclass(frozen=True)
class ContainerEvent:
    """Something that happened to a container; `at` is nanoseconds of the engine's clock.

    `exit_code` is that of one that died, where the engine told it.
    """

    container_id: str
    action: str
    at: int
    exit_code: int | None = None


@dataclass(frozen=True)
class ContainerUsage:
    """What a running container uses now, and what it has used since it was started.

    Memory is bytes without what can be reclaimed at once; limits are 0 where there is none. Counters:
    `cpu_ns` nanoseconds of CPU, bytes of network and block devices, and the periods of its CPU limit, of
    which some were `throttled`. `cpus` are those of its host, 0 where the engine does not tell.
    """

    cpu_ns: int = 0
    received: int = 0
    sent: int = 0
    block_read: int = 0
    block_written: int = 0
    periods: int = 0
    throttled: int = 0
    memory: int = 0
    memory_limit: int = 0
    pids: int = 0
    pids_limit: int = 0
    cpus: int = 0


@dataclass(frozen=True)
class DiskUse:
    """Bytes on an engine's disk: of each container's own files by id, beyond its image, and of each volume.

    What an engine can't measure is left out.
    """

    containers: dict[str, int] = field(default_factory=dict)
    volumes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerFacts:
    """What `inspect` says of one container, reduced to what dockmgr decides on.

    Limits are in the engine's units: `nano_cpus` are billionths of a CPU, `memory` is bytes.
    `env` holds secrets and stays out of every text; it is excluded from repr for that reason.
    """

    id: str
    name: str
    state: str
    exit_code: int | None
    oom_killed: bool
    restart_count: int
    started_at: datetime | None
    image_id: str
    image_ref: str
    labels: dict[str, str]
    env: dict[str, str] = field(repr=False)
    nano_cpus: int
    memory: int
    pids_limit: int | None
    restart_policy: str
    volumes: dict[str, str]  # volume name -> path in the container
    ports: dict[int, tuple[str, int]]  # container port -> (host address, host port)
    privileged: bool
    security_opt: tuple[str, ...]
    cap_add: tuple[str, ...] = ()
    network_mode: str = "default"
    binds: tuple[str, ...] = ()  # paths in the container where something other than a volume is mounted
    ended_at: datetime | None = None  # when its last run did, by the host's clock
    udp_ports: dict[int, tuple[str, int]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict, repr=False)  # see `option_drift`
    health: str = ""  # what the image's own health check says: starting, healthy, unhealthy
    networks: dict[str, Attachment] = field(default_factory=dict)
    added_env: dict[str, str] = field(default_factory=dict, repr=False)  # its engine's, or asked for as well

    @property
    def summary(self) -> ContainerSummary:
        """What a list of containers would say of it."""
        return ContainerSummary(
            self.id, self.name, self.state, self.image_id, self.labels, self.health, self.address,
            self.network_mode, tuple(self.volumes),
        )  # fmt: skip

    @property
    def published(self) -> dict[str, tuple[str, int]]:
        """Its published ports, such as 8080/tcp, with address and port of the host."""
        tcp = {f"{inner}/tcp": place for inner, place in self.ports.items()}
        return tcp | {f"{inner}/udp": place for inner, place in self.udp_ports.items()}

    @property
    def address(self) -> str:
        """Its own, in its first network, while it runs."""
        return own_address(self.network_mode, self.networks)


@dataclass(frozen=True)
class ImageFacts:
    """An image on the engine: its id (`sha256:…`), labels and the volumes it declares.

    `digests` are its names in registries; an image built here and never pushed has none.
    `env` is what it gives every container of it; `options` are its command and the like (see `option_drift`).
    """

    id: str
    labels: dict[str, str]
    volumes: tuple[str, ...]
    exposed_ports: tuple[int, ...]
    architecture: str
    digests: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict, repr=False)
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    has_healthcheck: bool = False


@dataclass(frozen=True)
class EngineFacts:
    """The machine behind an engine. `memory` is bytes; `root` is where the engine keeps its data.

    `id` is what the engine calls itself. It keeps that with its data, so an engine whose data is not
    there is another one.
    """

    architecture: str
    cpus: int
    memory: int
    root: str
    id: str = ""
    version: str = ""
    driver: str = ""  # of its storage
    security: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()  # limits that it can't hold
    time: datetime | None = None
    is_podman: bool = False
