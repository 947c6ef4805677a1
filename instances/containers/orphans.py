"""What carries our labels on an engine and belongs to no instance: pure decisions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from instances.containers.facts import ContainerSummary
from instances.containers.spec import CUSTOMER_LABEL, EXPIRES_LABEL, is_made_elsewhere, is_managed

NO_INSTANCE = "no instance on this host is of this customer"
NOT_ITS_OWN = "the customer's instance has another container"
NOT_ITS_DATA = "the customer's instance does not keep its data there"
KEPT = "kept when the customer was decommissioned"
PURGED_LATER = "could not be removed with its customer yet; it is tried again"
MADE_ELSEWHERE = "another installation of dockmgr made it"
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
class Known:
    """What the database knows of a host: what its instances have, by customer.

    `left` are the customers who were decommissioned, `purged` the volumes that were to go with them,
    `installation` is the one the database belongs to.
    """

    held: Mapping[str, Holding]
    left: Collection[str] = ()
    installation: str = ""
    purged: Collection[str] = ()

    def why_container(self, container: ContainerSummary) -> str:
        """Why one that carries our labels is an orphan; empty for an instance's own."""
        own = self.held.get(_customer(container.labels))
        if own is not None and (own.changing or container.id == own.container_id):
            return ""
        return self._nobodys(container.labels, NO_INSTANCE if own is None else NOT_ITS_OWN)

    def why_volume(self, name: str, labels: Mapping[str, str]) -> str:
        """As `why_container`, of a volume."""
        own = self.held.get(_customer(labels))
        if own is not None and (own.changing or name in own.volumes):
            return ""
        left = PURGED_LATER if name in self.purged else KEPT
        gone = left if _customer(labels) in self.left else NO_INSTANCE
        return self._nobodys(labels, gone if own is None else NOT_ITS_DATA)

    def _nobodys(self, labels: Mapping[str, str], otherwise: str) -> str:
        if is_made_elsewhere(labels, self.installation):
            return MADE_ELSEWHERE
        has_instance = _customer(labels) in self.held
        return THROWAWAY if EXPIRES_LABEL in labels and not has_instance else otherwise


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
    known: Known,
) -> list[Orphan]:
    """The orphans of a host, by name. `volumes` are labels by name."""
    found = [
        Orphan("container", each.name, _customer(each.labels), each.state, why, each.id)
        for each in containers
        if is_managed(each.labels) and (why := known.why_container(each))
    ]
    found += [
        Orphan("volume", name, _customer(labels), "", why)
        for name, labels in volumes.items()
        if is_managed(labels) and (why := known.why_volume(name, labels))
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
    return [orphan for orphan in orphans if orphan.why not in (THROWAWAY, KEPT, PURGED_LATER, MADE_ELSEWHERE)]


def _customer(labels: Mapping[str, str]) -> str:
    return labels.get(CUSTOMER_LABEL, "")
