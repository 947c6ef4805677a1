"""Whether an engine that answers can be believed: who it is, and whether it still has what is ours."""

from __future__ import annotations

from collections.abc import Collection

from instances.checks.roster import rows_of
from instances.containers.identity import Listing, Wanted, identify
from instances.engine.port import Engine
from instances.models import Instance

LEAST_LOST = 3


def stakes_on(host_id: int) -> list[Wanted]:
    """What a host's active instances have on its engine: a container each, and volumes."""
    active = Instance.objects.active().filter(host_id=host_id).order_by("pk").values_list("pk", flat=True)
    return [row.wanted for row in rows_of(active)]


def containers_on(host_id: int) -> list[str]:
    """The ids of the containers of a host's active instances, for a first look at what its engine lacks."""
    return list(Instance.objects.active().filter(host_id=host_id).values_list("container_id", flat=True))


def what_is_lost(stakes: Collection[Wanted], listing: Listing, engine: Engine) -> str:
    """A sentence when at least three instances, and half of all, have neither container nor data.

    That is no accident of theirs: the engine's data is not there. Asks for volumes only when so many
    containers are missing.
    """
    gone = _gone(stakes, listing)
    if not many(len(gone), len(stakes)):
        return ""
    lost = sum(all(engine.volume_labels(name) is None for name in stake.volumes) for stake in gone)
    return _sentence(lost, len(stakes)) if many(lost, len(stakes)) else ""


def lacks_many(stakes: Collection[Wanted], listing: Listing) -> bool:
    """Whether so many containers with data are missing that `what_is_lost` asks the engine for volumes."""
    return many(len(_gone(stakes, listing)), len(stakes))


def _gone(stakes: Collection[Wanted], listing: Listing) -> list[Wanted]:
    return [s for s in stakes if s.volumes and identify(s, listing).container is None]


def many(lost: int, stakes: int) -> bool:
    """Whether so many are lost at once that it is the engine's doing."""
    return lost >= LEAST_LOST and 2 * lost >= stakes


def _sentence(lost: int, stakes: int) -> str:
    return (
        f"The containers and the data of {lost} of {stakes} instances are missing at once: is the engine's "
        "data there? Nothing is made anew before it is back or restart --with-empty-data is given for each."
    )
