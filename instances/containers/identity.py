"""Which container is an instance's own: by its id, else by our labels. Pure decisions.

Other people's tools rename containers and make them anew; none of that may make dockmgr start a second
one beside the first, or take away one that serves the customer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from msgspec import Struct

from instances.containers.facts import ContainerSummary, short_id
from instances.containers.spec import (
    CUSTOMER_LABEL,
    OPERATION_LABEL,
    derived_from,
    is_made_elsewhere,
    is_managed,
)

RENAMED = "renamed"
DEAD = "dead"  # an engine could not remove all of it: it never runs again, and keeps its name
REMOVING = "removing"
PAUSED = "paused"  # by `docker pause`: it is still the instance's own
REPLACED = "replaced"
ALIVE = frozenset({"running", "paused", "restarting"})


class Wanted(Struct, frozen=True):
    """The container to look for, as the database knows it; `container_id` may be empty.

    `volumes` are those the customer's data is in.
    """

    customer_id: str
    container_id: str
    name: str
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The containers of a host, found by name, by id and by whose they are."""

    by_name: Mapping[str, ContainerSummary] = field(default_factory=dict)
    by_id: Mapping[str, ContainerSummary] = field(default_factory=dict)
    installation: str = ""

    @classmethod
    def of(cls, containers: Iterable[ContainerSummary], installation: str = "") -> Self:
        """To an `installation` another one's are strangers', whatever customer they are labelled with."""
        found = [
            replace(each, labels={}) if is_made_elsewhere(each.labels, installation) else each
            for each in containers
        ]
        return cls({c.name: c for c in found}, {c.id: c for c in found}, installation)

    @cached_property
    def by_customer(self) -> Mapping[str, list[ContainerSummary]]:
        """Made when it is asked for, which is seldom: where a container is not found by its id."""
        found: dict[str, list[ContainerSummary]] = defaultdict(list)
        for container in self.by_id.values():
            if is_managed(container.labels):
                found[container.labels.get(CUSTOMER_LABEL, "")].append(container)
        return dict(found)


class Identified(Struct, frozen=True):
    """The instance's own container, if there is one, and what is odd about it.

    `finding` is empty, `renamed` or `replaced`, with a sentence for people. `stranger` has the name of
    the container and is not ours; `left_behind` has it and comes from an operation of ours that did not
    end well. While the own one is `aside`, another one stands in its place, so starting it would have two
    write the same data.
    """

    container: ContainerSummary | None = None
    finding: str = ""
    sentence: str = ""
    stranger: ContainerSummary | None = None
    left_behind: ContainerSummary | None = None
    aside: bool = False

    @property
    def serves(self) -> ContainerSummary | None:
        """The container that the customer's requests may reach."""
        if self.aside or self.container is None:
            return self.stranger
        return self.container


def identify(wanted: Wanted, listing: Listing) -> Identified:
    """Find the instance's own container among those of its host.

    The id decides, whatever the container is called. Where nothing has the id any more, somebody made
    another one in its place: the container of the name if it carries the customer's labels, else one that
    carries them under another name, mounts its data to write it and runs. Labels alone prove nothing there:
    an image made of a container has them, and gives them to whatever is made of it.
    """
    own, named = listing.by_id.get(wanted.container_id), listing.by_name.get(wanted.name)
    if own is not None:
        return _by_id(wanted, own, named)
    if named is not None and _is_labelled(named, wanted):
        return Identified(named, REPLACED, _replaced_by(wanted, named))
    beside = _running_beside(wanted, listing)
    if beside is not None:
        return Identified(beside, REPLACED, _replaced_by(wanted, beside), named)
    if named is not None:
        return Identified(None, REPLACED, _stranger(wanted, named), named)
    return Identified()


def way_on(found: Identified, customer_id: str, *, adopted: bool) -> str:
    """What a person can do about a finding, in one sentence; empty when there is none."""
    if not found.finding:
        return ""
    if found.aside or (found.finding == RENAMED and found.stranger):
        return "Remove or rename the other one; then a restart gives this one its name back."
    if found.container is not None:
        gets = "takes it over" if found.finding == REPLACED else "gives it its name back"
        return f"A restart {gets}: restart --customer-id {customer_id}."
    if adopted:
        return f"Remove or rename it, or take it over with adopt --customer-id {customer_id} once more."
    return "Remove or rename it; then dockmgr makes the instance's own anew, on the data it had."


def _by_id(wanted: Wanted, own: ContainerSummary, named: ContainerSummary | None) -> Identified:
    if own.name == wanted.name:
        return Identified(own)
    called = f"The container of {wanted.customer_id} is called {own.name} and not {wanted.name} any more"
    if named is None:
        return Identified(own, RENAMED, f"{called}.")
    if _is_left_behind(wanted, own, named):
        left = f"{called}: an operation that did not end well left another one there."
        return Identified(own, RENAMED, left, left_behind=named)
    beside = f"{called}, and another one ({short_id(named.id)}, {named.state}) has that name"
    if own.state in ALIVE or _is_of_another(named, wanted):
        return Identified(own, RENAMED, f"{beside}.", named)
    return Identified(own, REPLACED, f"{beside} while it is {own.state}.", named, aside=True)


def _is_left_behind(wanted: Wanted, own: ContainerSummary, named: ContainerSummary) -> bool:
    """Whether another operation of ours made the one that has the name; who copies one copies its labels."""
    made_by = named.labels.get(OPERATION_LABEL)
    return bool(made_by) and _is_labelled(named, wanted) and made_by != own.labels.get(OPERATION_LABEL)


def _is_of(container: ContainerSummary, wanted: Wanted) -> bool:
    if wanted.volumes and container.volumes is not None:
        written = set(container.volumes) - set(container.read_only)
        if written.isdisjoint(wanted.volumes):
            return False
    return _is_labelled(container, wanted)


def _is_of_another(container: ContainerSummary, wanted: Wanted) -> bool:
    """Whether it is another customer's, so that it has nothing to do with this one's data."""
    return is_managed(container.labels) and not _is_labelled(container, wanted)


def _is_labelled(container: ContainerSummary, wanted: Wanted) -> bool:
    return is_managed(container.labels) and container.labels.get(CUSTOMER_LABEL) == wanted.customer_id


def _running_beside(wanted: Wanted, listing: Listing) -> ContainerSummary | None:
    """A running container of the customer under a name that no operation of ours gives."""
    for container in listing.by_customer.get(wanted.customer_id, ()):
        is_other = container.state in ALIVE and derived_from(container.name) != wanted.name
        if is_other and _is_of(container, wanted):
            return container
    return None


def _replaced_by(wanted: Wanted, found: ContainerSummary) -> str:
    return (
        f"The container of {wanted.customer_id} was replaced from outside by {found.name} "
        f"({short_id(found.id)}, {found.state}), which carries its labels."
    )


def _stranger(wanted: Wanted, named: ContainerSummary) -> str:
    return (
        f"The container of {wanted.customer_id} is gone, and a container that this dockmgr did not make "
        f"({short_id(named.id)}, {named.state}) has its name {wanted.name}."
    )
