"""What a check needs of an instance: worked out alike of a whole row and of the few columns a sweep reads."""

from __future__ import annotations

from typing import Any

from instances.containers import spec, storage
from instances.containers.identity import Wanted
from instances.containers.published import OWN_ADDRESS


class CheckSubject:
    """Names, addresses and volumes of an instance, by columns that hold no secret.

    Of an adopted one from before volumes were written down, `adopted` is read as well.
    """

    __slots__ = ()
    pk: Any
    customer_id: Any
    plan: Any
    host: Any
    host_id: Any
    image: str
    port: Any
    further_ports: Any
    container: Any
    container_id: Any
    volumes: Any
    finding: Any
    adopted: Any

    @property
    def container_name(self) -> str:
        return self.container or spec.container_name(self.customer_id)

    @property
    def wanted(self) -> Wanted:
        """What its container is known by; reads no secret."""
        return Wanted(self.customer_id, self.container_id, self.container_name)

    @property
    def volume_name(self) -> str:
        return spec.volume_name(self.customer_id)

    @property
    def planned_volumes(self) -> dict[str, str]:
        """Volumes its plan gives it, by name, with their paths in the container."""
        return spec.named_volumes(self.customer_id, self.plan.volumes)

    @property
    def image_ref(self) -> str:
        return self.image or self.plan.image

    @property
    def health_url(self) -> str:
        """Where health is asked: at the published address, or the container's own (see `located`)."""
        return self.health_url_at(self.port or 0)

    def health_url_at(self, port: int) -> str:
        """Where health would be asked if the container's main port were published on `port`."""
        kind = self.plan.health.get("kind", "http")
        place = self._place(port)
        if kind == "tcp":
            return f"tcp://{place}"
        return f"{'https' if kind == 'https' else 'http'}://{place}{self.plan.health_path}"

    def _place(self, port: int) -> str:
        asked = self.plan.health.get("port")
        if self.is_adopted and not port:
            return f"{OWN_ADDRESS}:{asked or self.plan.container_port}"
        return self._address(self.further_ports.get(f"{asked}/tcp", port))

    def _address(self, port: int) -> str:
        host = f"[{self.host.address}]" if ":" in self.host.address else self.host.address
        return f"{host}:{port}"

    @property
    def is_adopted(self) -> bool:
        """Whether its container was made by somebody else; reads no secret."""
        return bool(self.container)

    @property
    def held_volumes(self) -> dict[str, str]:
        """Volumes that hold this instance's data, by name, with their paths in the container."""
        known: dict[str, str] | None = self.volumes
        if known is not None:
            return known
        if self.container:  # which tells an adopted one without reading what is kept of it
            return storage.mounted((self.adopted or {"HostConfig": {}})["HostConfig"])
        return self.planned_volumes
