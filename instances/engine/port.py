"""What dockmgr asks of a Docker Engine, as values and one protocol; nothing here knows the SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from instances.containers.facts import (
    ContainerEvent,
    ContainerFacts,
    ContainerSummary,
    ContainerUsage,
    DiskUse,
    EngineFacts,
    ImageFacts,
    NetworkFacts,
)
from instances.containers.spec import ContainerSpec


@dataclass(frozen=True)
class RegistryLogin:
    """Who to be at a registry: a user with a password, a bearer's `token`, or an `identity` token."""

    registry: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)

    @property
    def secrets(self) -> list[str]:
        return [text for text in (self.password, self.token, self.identity) if text]


class LogStream(Protocol):
    """Chunks of a log. Whoever stops reading before the end closes it (`contextlib.closing`)."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def close(self) -> None:
        """End the iteration and give the connection back.

        A real engine's stream may be closed by any thread, also while another waits for a chunk that
        never comes: that wait ends at once. So ends a follow that is silent.
        """


class EventStream(Protocol):
    """Events as they happen. Whoever stops reading closes it; any thread may."""

    def __iter__(self) -> Iterator[ContainerEvent]: ...

    def __next__(self) -> ContainerEvent: ...

    def close(self) -> None:
        """End the iteration and give the connection back."""


class Engine(Protocol):
    """A Docker Engine. Every call is bounded in time and raises only `instances.errors`.

    Errors: `EngineUnreachable` when the engine does not answer; `ContainerHung` when it does, but not
    about this container, which says nothing of the others; `NotFoundOnEngine`, `PortTaken` or
    another `PermanentError` when it refuses; `TransientError` when it fails for its own reasons.
    Containers are named by id or name. Removing what is not there succeeds.
    """

    def ping(self) -> None:
        """Return when the engine answers whoever connects anew."""

    def facts(self) -> EngineFacts:
        """The machine the engine runs on."""

    def list_containers(self) -> list[ContainerSummary]:
        """All containers, other people's and stopped ones included, in one call.

        Ours are managed by label, except an adopted one that was not replaced yet: its id is known.
        """

    def inspect(self, container: str) -> ContainerFacts | None:
        """Facts of the container that has this id or name, or None when there is none.

        An engine that is going down is out of reach: the containers it stops have not ended.
        """

    def usage(self, container: str) -> ContainerUsage | None:
        """What a container uses, or None when there is none or it does not run. May take a second."""

    def disk(self) -> DiskUse:
        """What containers and volumes hold on its disk. May take minutes: the engine looks at each file.

        Engines before API 1.42 refuse a second caller meanwhile.
        """

    def describe(self, container: str) -> dict[str, Any] | None:
        """All the engine says of one container, in its own words, or None. It holds secrets."""

    def describe_image(self, ref: str) -> dict[str, Any] | None:
        """All the engine says of a local image, in its own words, or None."""

    def image(self, ref: str) -> ImageFacts | None:
        """Facts of a local image by reference or whole id, or None."""

    def pull(
        self, ref: str, progress: Callable[[str], None] | None = None, login: RegistryLogin | None = None
    ) -> ImageFacts:
        """Fetch `ref` from its registry; `progress` hears a short text now and then.

        LoginRefused when the registry wants another login, or one at all, UntrustedRegistry when the engine
        does not trust its certificate.
        """

    def remove_image(self, image: str) -> bool:
        """Remove an image by id, or one of its names and with the last name the image.

        False when a container still uses it or, by id, when it has several names; True when it is gone.
        """

    def import_image(self, archive: bytes, reference: str) -> str:
        """Make an image of a tar file's content, and return its id."""

    def unpack(self, container: str, folder: str, archive: bytes) -> None:
        """Unpack a tar file into a folder of a container, with owners and modes as it says."""

    def create(self, spec: ContainerSpec) -> str:
        """Create (not start) a container and return its id; leaves nothing behind when refused.

        One that was adopted has joined all its networks then. Raises DataMissing when something of the host
        that is to be mounted is not there, and NameTaken when a container has the name. That may be one
        which the engine still makes for an earlier call that was cut short: it is shown once it is made.
        """

    def start(self, container: str) -> None:
        """Start it; a running container is left alone."""

    def stop(self, container: str, timeout: int) -> None:
        """Stop it: TERM, then KILL after `timeout` seconds; a stopped or missing one is left alone."""

    def remove(self, container: str, *, anonymous_volumes: bool = False) -> None:
        """Remove it, running or not, never its named volumes; those without a name only when asked to."""

    def rename(self, container: str, name: str) -> None:
        """Give it another name."""

    def set_restart_policy(self, container: str, policy: dict[str, Any]) -> None:
        """Change what the engine does when the container ends, in the engine's own words (`Name`, …).

        NoSuchCall from an engine that does not let it be changed.
        """

    def create_volume(self, name: str, labels: dict[str, str]) -> bool:
        """Make sure the volume exists; True when this call made it."""

    def give_volume(self, name: str, owner: tuple[int, int], image: str, labels: dict[str, str]) -> None:
        """Make a user and a group the owners of a volume's top folder, whose mode stays.

        A container of the image, with these labels, is made and removed for it; nothing of it runs. One
        that was left by a call that was cut short is removed by the next, and along with the volume.
        """

    def volume_labels(self, name: str) -> dict[str, str] | None:
        """The labels of a volume, or None when there is no such volume."""

    def managed_volumes(self) -> dict[str, dict[str, str]]:
        """The labels of all volumes that carry ours, by name."""

    def remove_volume(self, name: str) -> None:
        """Remove a named volume. PermanentError while a container mounts it, running or not."""

    def network(self, name: str) -> NetworkFacts | None:
        """Facts of the network of this name, or None."""

    def create_network(self, name: str, options: dict[str, str], labels: dict[str, str]) -> None:
        """Make a bridge with these options of its driver. PermanentError when there is one of the name."""

    def join_anew(self, container: str, network: str) -> None:
        """Put a stopped container into the network that has this name now, in the place of an earlier one."""

    def volume_users(self, name: str) -> list[str]:
        """Names of all containers that mount a volume, stopped ones included, in order."""

    def dependents(self, container: str) -> list[str]:
        """Names of containers that share its network, processes or memory, in order.

        One about which the engine gives no answer hides what it shares but the network.
        """

    def events(self, since: int | None = None) -> EventStream:
        """What happens to containers from now on, or from `since` (nanoseconds of the engine's clock) on.

        The stream ends when the engine goes away or says nothing for a minute: that proves nothing,
        and is opened anew.
        """

    def logs(
        self,
        container: str,
        *,
        lines: int,
        since: datetime | None = None,
        until: datetime | None = None,
        timestamps: bool = False,
        follow: bool = False,
    ) -> LogStream:
        """Raw chunks of stdout and stderr, at most 64 KiB each, from the last `lines` lines (at least 1) on.

        `since` and `until` are aware and inclusive, and what is later is left out of the last lines.
        `follow` goes on until the container ends; its silence is no error. `RequestError` for any other
        `lines`, `NotFoundOnEngine` at the call; while reading, `EngineUnreachable` when the stream breaks
        off. Nothing is held in memory but one chunk.
        """

    def close(self) -> None:
        """Give back connections."""
