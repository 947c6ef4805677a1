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
    made_with: Any
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
        made = self._made_with
        if made is None:
            return self.health_url_at(self.port or 0)
        return self._url(self._place(self.port or 0, made["further_ports"], self._asked_port(made)))

    @property
    def _made_with(self) -> dict[str, Any] | None:
        """What is kept of the container of now; a worker of an older release makes one and keeps nothing."""
        made: dict[str, Any] | None = self.made_with
        return made if made and made.get("container_id", self.container_id) == self.container_id else None

    def _asked_port(self, made: dict[str, Any]) -> int | None:
        """The port its plan asks at; of a container made from other `ports` the one it asked at then."""
        asked: int | None = self.plan.health.get("port")
        before: int | None = made["health_port"]
        further = made["further_ports"]
        has_it = asked in (None, self.plan.container_port) or f"{asked}/tcp" in further
        stays = before is None or f"{before}/tcp" in self.plan.options.get("ports", ())
        return asked if has_it and stays else before

    def health_url_at(self, port: int) -> str:
        """Where health would be asked of a container made now, with its main port published on `port`."""
        return self._url(self._place(port, self.further_ports, self.plan.health.get("port")))

    def _url(self, place: str) -> str:
        kind = self.plan.health.get("kind", "http")
        if kind == "tcp":
            return f"tcp://{place}"
        return f"{'https' if kind == 'https' else 'http'}://{place}{self.plan.health_path}"

    def _place(self, port: int, published: dict[str, int], asked: int | None) -> str:
        if self.is_adopted and not port:  # every port of its own address can be asked
            made = (self.made_with or {}).get("container_port")
            return f"{OWN_ADDRESS}:{self.plan.health.get('port') or made or self.plan.container_port}"
        return self._address(published.get(f"{asked}/tcp", port))

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
