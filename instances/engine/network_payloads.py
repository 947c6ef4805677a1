"""What an engine says of networks, reduced to what is decided on. Pure."""

from __future__ import annotations

from typing import Any

from instances.containers.facts import Attachment, NetworkFacts
from instances.engine.answers import NETWORK, readable

Json = dict[str, Any]


def network_facts(answer: object) -> NetworkFacts:
    """The engine's answer to inspecting a network. Raises UnreadableAnswerError."""
    said = readable(answer, NETWORK, "Id", "Name")
    places = (said.get("IPAM") or {}).get("Config") or []
    gateways = (place.get("Gateway") or "" for place in places)
    return NetworkFacts(
        id=said["Id"],
        name=said["Name"],
        driver=said.get("Driver") or "",
        options=said.get("Options") or {},
        labels=said.get("Labels") or {},
        internal=bool(said.get("Internal")),
        gateway=next((gateway for gateway in gateways if "." in gateway), "").partition("/")[0],
    )


def attachments(described: Json) -> dict[str, Attachment]:
    """The networks of an inspected container, by name."""
    found = (described.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        name: Attachment(place.get("NetworkID") or "", place.get("IPAddress") or "")
        for name, place in found.items()
    }
