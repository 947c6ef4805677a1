"""The engines the promises are tried on, and how each is started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.servers import EngineServer, docker_engine
from dev.servers.other_system import other_system
from dev.servers.podman import podman

FIRST_PORT, LAST_PORT = 42000, 43999  # where servers of a run listen: Podman must know registries by port
CONTAINERD: dict[str, object] = {"features": {"containerd-snapshotter": True}}
CLASSIC: dict[str, object] = {"features": {"containerd-snapshotter": False}}


@dataclass(frozen=True)
class Kind:
    """An engine with a store of images; `is_newer` where it comes from the newer system and not this one."""

    name: str
    store: str = "classic"
    is_newer: bool = True
    is_podman: bool = False


KINDS = (
    Kind("own", is_newer=False),
    Kind("newest"),
    Kind("newest-containerd", "containerd"),
    Kind("podman", "its own", is_podman=True),
)


def kind(name: str) -> Kind:
    """The kind of this name."""
    return next(each for each in KINDS if each.name == name)


@contextmanager
def started(wanted: Kind, folder: Path, system: Path) -> Iterator[EngineServer]:
    """An engine of this kind with its data below `folder`; the newer ones are programs of `system`."""
    with ExitStack() as stack:
        words = stack.enter_context(other_system(system)) if wanted.is_newer else []
        if wanted.is_podman:
            ports = range(FIRST_PORT, LAST_PORT + 1)
            yield stack.enter_context(podman(folder, words, trusted_ports=ports))
            return
        features = CONTAINERD if wanted.store == "containerd" else CLASSIC
        settings = features if wanted.is_newer else None
        yield stack.enter_context(docker_engine(folder, {}, settings=settings, within=words))
