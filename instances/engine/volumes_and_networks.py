"""What an engine is asked of volumes and networks: each verb as the SDK has it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from instances.containers.facts import NetworkFacts
from instances.containers.spec import MANAGED_LABEL
from instances.engine.connection import EngineConnection
from instances.engine.network_payloads import network_facts
from instances.engine.payloads import labels_by_volume, users_of, volume_labels
from instances.engine.refusals import network_refused
from instances.errors import NotFoundOnEngine, PermanentError


class VolumesAndNetworks(EngineConnection):
    """Keeps the promises of `instances.engine.port.Engine` about what containers are joined to and keep."""

    def create_volume(self, name: str, labels: dict[str, str]) -> bool:
        if self.volume_labels(name) is not None:
            return False
        with self._calling(f"create volume {name}", change=True) as client:
            client.create_volume(name, labels=labels)
        return True

    def volume_labels(self, name: str) -> dict[str, str] | None:
        with suppress(NotFoundOnEngine), self._calling(f"inspect volume {name}") as client:
            return volume_labels(client.inspect_volume(name))
        return None

    def managed_volumes(self) -> dict[str, dict[str, str]]:
        with self._calling("list volumes") as client:
            return labels_by_volume(client.volumes(filters={"label": f"{MANAGED_LABEL}=true"}))

    def remove_volume(self, name: str) -> None:
        with suppress(NotFoundOnEngine), self._calling(f"remove volume {name}", change=True) as client:
            client.remove_volume(name)

    def network(self, name: str) -> NetworkFacts | None:
        with (
            suppress(NotFoundOnEngine),
            self._calling(f"inspect network {name}", kind=network_refused) as client,
        ):
            found = network_facts(client.inspect_network(name))
            return found if found.name == name else None  # an engine also finds by the beginning of an id
        return None

    def create_network(self, name: str, options: dict[str, str], labels: dict[str, str]) -> None:
        with self._calling(f"create network {name}", change=True) as client:
            client.create_network(name, driver="bridge", options=options, labels=labels, check_duplicate=True)

    def join_anew(self, container: str, network: str) -> None:
        what = f"take {container} out of network {network}"
        # It may be out of it already; what else is wrong with it shows when it joins.
        with suppress(PermanentError), self._calling(what, change=True) as client:
            client.disconnect_container_from_network(container, network, force=True)
        self._join(container, network, {})

    def _join(self, container: str, network: str, endpoint: dict[str, Any]) -> None:
        with self._calling(f"connect {container} to network {network}", change=True) as client:
            told = {"Container": container, "EndpointConfig": endpoint}
            path = f"/networks/{quote(network, safe='')}/connect"
            client.ask("POST", path, json=told, timeout=client.timeout)

    def volume_users(self, name: str) -> list[str]:
        with self._calling(f"say who uses volume {name}") as client:
            rows = client.containers(all=True, filters={"volume": name})
            # The engine's filter finds paths in containers of the same name, too.
            return sorted(users_of(rows, name))
