"""Networks, volumes and containers that somebody without dockmgr has on an engine."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.real.live import docker_client


class Workshop:
    """What somebody without dockmgr has on an engine; all of it is named `prefix` and removed at the end."""

    def __init__(self, client: docker.DockerClient, image: str) -> None:
        self.client, self.image = client, image
        self.prefix = f"adopt-{uuid.uuid4().hex[:8]}"
        self._volumes: list[str] = []

    def network(self, name: str) -> tuple[str, str]:
        """A network, and an address in it that nobody has."""
        base = f"10.{random.randrange(100, 250)}.{random.randrange(256)}"
        pool = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=f"{base}.0/24")])
        self.client.networks.create(f"{self.prefix}-{name}", ipam=pool)
        return f"{self.prefix}-{name}", f"{base}.77"

    def container(self, name: str, config: dict[str, Any]) -> str:
        """A created container's id; `config` as the engine takes it."""
        told, name = {"Image": self.image, "HostConfig": {}, **config}, f"{self.prefix}-{name}"
        made = self.client.api.create_container_from_config(told, name)  # type: ignore[no-untyped-call]
        self._remember_volumes(made["Id"])
        return str(made["Id"])

    def _remember_volumes(self, container: str) -> None:
        mounts = self.client.api.inspect_container(container)["Mounts"]
        self._volumes += [
            mount["Name"] for mount in mounts if mount["Type"] == "volume" and mount.get("Name")
        ]

    def clean_up(self) -> None:
        for container in self.client.containers.list(all=True, filters={"name": self.prefix}):
            self._remember_volumes(str(container.id))
            container.remove(force=True)
        for network in self.client.networks.list(filters={"name": self.prefix}):
            network.remove()
        for name in set(self._volumes):
            self.client.volumes.get(name).remove()


@pytest.fixture
def workshop(docker_url: str, demo_image: str) -> Iterator[Workshop]:
    with docker_client(docker_url) as client:
        workshop = Workshop(client, demo_image)
        try:
            yield workshop
        finally:
            workshop.clean_up()


def inspected(workshop: Workshop, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = workshop.client.api.inspect_container(name)
    answer["Mounts"].sort(key=lambda mount: str(mount["Destination"]))  # the engine tells them in any order
    return answer
