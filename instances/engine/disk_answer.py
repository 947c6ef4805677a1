"""An engine's account of its disk, reduced to containers and volumes; read as hostile. Pure."""

from __future__ import annotations

from typing import Any

from instances.containers.facts import DiskUse
from instances.engine.answers import ListOf, readable

# Engines before API 1.42 count images as well.
ASKED = {"type": ["container", "volume"]}
_LARGEST = 2**50  # bytes of one volume, so that a column holds the sum of them
_DISK: dict[str, Any] = {
    "Containers": ListOf({"Id": str, "SizeRw": int}, ("Id",)),
    "Volumes": ListOf({"Name": str, "UsageData": {"Size": int}}, ("Name", "UsageData")),
}


def disk_use(answer: object) -> DiskUse:
    """What containers and volumes hold. Raises UnreadableAnswerError.

    A container without files of its own is told without a size; a volume that the engine can't measure has
    a negative one.
    """
    told = readable(answer, _DISK)
    layers = {row["Id"]: row.get("SizeRw") or 0 for row in told.get("Containers") or ()}
    volumes = {row["Name"]: row["UsageData"].get("Size") for row in told.get("Volumes") or ()}
    return DiskUse(_known(layers), _known(volumes))


def _known(sizes: dict[str, int | None]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size is not None and 0 <= size <= _LARGEST}
