"""Adopting many containers at once: which have the label, and whose instance each is to become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from instances.containers.facts import ContainerSummary
from instances.errors import DockmgrError, RequestError
from instances.models import Instance
from instances.operations.adoptable import Adoptable, AdoptRequest, host_named, look
from instances.outside import Outside, engine_address

NAME = "name"
LABEL = "label:"
MAPPED = ("customer_id", "subdomain", "plan")


@dataclass(frozen=True)
class Candidate:
    """A container with the label, and what came of looking at it: adoptable, or a reason why not."""

    container: str
    order: AdoptRequest | None = None
    found: Adoptable | None = None
    refused: str = ""

    def document(self) -> dict[str, str | None]:
        """What is shown of it before anything is adopted."""
        order = self.order
        named = {"customer_id": order.customer_id, "subdomain": order.subdomain} if order else {}
        return {"container": self.container, "customer_id": None, "subdomain": None, **named} | {
            "plan": order.plan if order else None,
            "error": self.refused or None,
        }


@dataclass(frozen=True)
class Selection:
    """Containers by label (`app=agent`, or `app` with any value), and where their names come from.

    `sources` map `customer_id`, `subdomain` and `plan` to `name`, `label:KEY`, or a text in which
    `{name}` and `{customer_id}` stand for the container's name and the customer.
    """

    label: str
    sources: Mapping[str, str]
    plan: str
    host: str | None = None
    force: bool = False
    accept_host_access: bool = False
    of_another_installation: bool = False

    def order_for(self, container: ContainerSummary) -> AdoptRequest:
        """The request to adopt this container. Raises RequestError where a label is missing."""
        known = {"name": container.name}
        customer_id = _value(self.sources.get("customer_id", NAME), container, known)
        known["customer_id"] = customer_id
        plan = self.sources.get("plan")
        return AdoptRequest(
            customer_id,
            _value(self.sources["subdomain"], container, known),
            container.name,
            _value(plan, container, known) if plan else self.plan,
            self.host,
            self.force,
            self.accept_host_access,
            self.of_another_installation,
        )

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether a container with these labels is meant."""
        key, sign, value = self.label.partition("=")
        return key in labels and (not sign or labels[key] == value)


def sources_of(pairs: Sequence[str]) -> dict[str, str]:
    """What `subdomain=label:KEY` and the like say. Raises RequestError."""
    sources = {}
    for pair in pairs:
        what, sign, source = pair.partition("=")
        if not sign or what not in MAPPED or source in ("", LABEL):
            raise RequestError(
                f"--map takes {', '.join(MAPPED)}, each with name, label:KEY or a text such as "
                f"subdomain={{name}}.example.com, not {pair!r}."
            )
        sources[what] = source
    if "subdomain" not in sources:
        raise RequestError("Say where subdomains come from, such as --map subdomain=label:KEY.")
    return sources


def _value(source: str, container: ContainerSummary, known: Mapping[str, str]) -> str:
    if source == NAME:
        return container.name
    if source.startswith(LABEL):
        label = source.removeprefix(LABEL)
        if not container.labels.get(label):
            raise RequestError(f"The container {container.name} has no label {label}.")
        return container.labels[label]
    for word, text in known.items():
        source = source.replace(f"{{{word}}}", text)
    return source


def candidates(selection: Selection, outside: Outside) -> list[Candidate]:
    """Every running container with the label that is not managed yet, looked at; changes nothing.

    Raises RequestError where there is none, and OutOfReachError when the engine can't be asked.
    """
    host = host_named(selection.host)
    listed = outside.engines.at(engine_address(host)).list_containers()
    chosen = sorted((row for row in listed if selection.has(row.labels)), key=lambda row: row.name)
    if not chosen:
        raise RequestError(f"No container on host {host.name} has the label {selection.label}.")
    managed = set(Instance.objects.present().filter(host=host).values_list("container_id", flat=True))
    return list(_each_once([_candidate(row, selection, outside) for row in chosen if row.id not in managed]))


def _candidate(row: ContainerSummary, selection: Selection, outside: Outside) -> Candidate:
    order = None
    try:
        order = selection.order_for(row)
        return Candidate(row.name, order, look(order, outside))
    except DockmgrError as error:
        return Candidate(row.name, order, refused=str(error))


def _each_once(found: Sequence[Candidate]) -> Iterator[Candidate]:
    """Two containers for one customer, or at one subdomain, are a mistake of the mapping: none is taken."""
    for one in found:
        twin = next((other for other in found if other is not one and _same(one, other)), None)
        yield Candidate(one.container, one.order, refused=_shared(twin)) if twin and one.found else one


def _same(one: Candidate, other: Candidate) -> bool:
    if one.order is None or other.order is None:
        return False
    return one.order.customer_id == other.order.customer_id or one.order.subdomain == other.order.subdomain


def _shared(twin: Candidate) -> str:
    return f"The container {twin.container} would have the same customer or subdomain."
