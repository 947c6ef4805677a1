"""Volumes given to a user: by a container that holds one and is never started."""

from __future__ import annotations

from contextlib import suppress

from instances.containers.spec import is_managed
from instances.engine.owner_payloads import (
    HELD,
    HOLDER,
    folder_archive,
    folder_mode,
    holder_name,
    volume_holder,
)
from instances.engine.payloads import container_facts
from instances.engine.refusals import creation_refused
from instances.engine.volumes_and_networks import VolumesAndNetworks
from instances.errors import NotFoundOnEngine


class VolumeOwners(VolumesAndNetworks):
    """Keeps the promises of `instances.engine.port.Engine` about who owns volumes."""

    def give_volume(self, name: str, owner: tuple[int, int], image: str, labels: dict[str, str]) -> None:
        """The engine unpacks into a container that never ran what it is given, with owners as that says."""
        self._remove_holder(name)
        what = f"give volume {name} an owner"
        with self._calling(what, change=True, kind=creation_refused) as client:
            container = client.make(volume_holder(name, image, labels), holder_name(name))
        try:
            with self._calling(what, change=True) as client:
                path, params = f"/containers/{container}/archive", {"path": f"{HOLDER}/{HELD}"}
                told = client.ask("HEAD", path, params=params, timeout=client.timeout)
                mode = folder_mode(told.headers.get("X-Docker-Container-Path-Stat", ""))
                client.put_archive(container, HOLDER, folder_archive(HELD, mode, owner))
        finally:
            self._remove_holder(name)

    def remove_volume(self, name: str) -> None:
        self._remove_holder(name)
        super().remove_volume(name)

    def _remove_holder(self, volume: str) -> None:
        """Also one that was left by whoever died before this; a stranger's container of the name stays."""
        what = f"let go of volume {volume}"
        with suppress(NotFoundOnEngine), self._calling(what, change=True) as client:
            found = container_facts(client.inspect_container(holder_name(volume)))
            if is_managed(found.labels):
                client.remove_container(found.id, v=True, force=True)
