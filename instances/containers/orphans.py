"""What carries our labels on an engine and belongs to no instance: pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from instances.containers.facts import ContainerSummary
from instances.containers.spec import CUSTOMER_LABEL, EXPIRES_LABEL, is_managed

NO_INSTANCE = "no instance on this host is of this customer"
NOT_ITS_OWN = "the customer's instance has another container"
NOT_ITS_DATA = "the customer's instance does not keep its data there"
KEPT = "kept when the customer was decommissioned"
THROWAWAY = "made for a short while only; it is removed once its time is over"


@dataclass(frozen=True)
class Holding:
    """What an instance has on its host: the id of its container, and its volumes.

    `changing` while an operation may have a second container of it.
    """

    container_id: str
    volumes: frozenset[str] = field(default_factory=frozenset)
    changing: bool = False


@dataclass(frozen=True)
class Orphan:
    """A container or volume of ours that no instance has, and why it is one. Volumes have a name alone."""

    kind: str
    name: str
    customer_id: str
    state: str
    why: str
    id: str = field(default="", compare=False)


def orphaned(
    containers: Iterable[ContainerSummary],
    volumes: Mapping[str, Mapping[str, str]],
    held: Mapping[str, Holding],
    left: Collection[str] = (),
) -> list[Orphan]:
    """The orphans of a host, by name. `volumes` are labels by name, `held` is what instances have.

    `left` are the customers who were decommissioned.
    """
    found = [
        Orphan("container", each.name, _customer(each.labels), each.state, why, each.id)
        for each in containers
        if is_managed(each.labels) and (why := _why_container(each, held))
    ]
    found += [
        Orphan("volume", name, _customer(labels), "", why)
        for name, labels in volumes.items()
        if is_managed(labels) and (why := _why_volume(name, labels, held, left))
    ]
    return sorted(found, key=lambda orphan: (orphan.kind, orphan.name))


def is_over(labels: Mapping[str, str], now: datetime) -> bool:
    """Whether what carries these labels was made for a while only, and that is over."""
    try:
        until = datetime.fromisoformat(labels.get(EXPIRES_LABEL, ""))
    except ValueError:
        return False
    return is_managed(labels) and until.tzinfo is not None and until < now


def nobody_meant(orphans: Iterable[Orphan]) -> list[Orphan]:
    """Those of which dockmgr does not know itself why they are there."""
    return [orphan for orphan in orphans if orphan.why not in (THROWAWAY, KEPT)]


def _customer(labels: Mapping[str, str]) -> str:
    return labels.get(CUSTOMER_LABEL, "")


def _why_container(container: ContainerSummary, held: Mapping[str, Holding]) -> str:
    own = held.get(_customer(container.labels))
    if own is None:
        return THROWAWAY if EXPIRES_LABEL in container.labels else NO_INSTANCE
    return "" if own.changing or container.id == own.container_id else NOT_ITS_OWN


def _why_volume(
    name: str, labels: Mapping[str, str], held: Mapping[str, Holding], left: Collection[str]
) -> str:
    own = held.get(_customer(labels))
    if own is None and EXPIRES_LABEL in labels:
        return THROWAWAY
    if own is None:
        return KEPT if _customer(labels) in left else NO_INSTANCE
    return "" if own.changing or name in own.volumes else NOT_ITS_DATA
