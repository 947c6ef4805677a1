"""What is to be adopted: an existing container is looked at, and refused where it could not be kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Q

from instances import lookup
from instances.checks.asking import ask_of, asks_network
from instances.checks.observe import Check
from instances.containers import adoption, host_access, spec, storage
from instances.containers.facts import ContainerFacts
from instances.containers.published import Binding, best, bindings
from instances.engine.image_payloads import image_facts
from instances.engine.payloads import container_facts
from instances.engine.port import Engine
from instances.errors import RequestError
from instances.lib import validators
from instances.models import Host, Instance, Plan, Port
from instances.models.installation import installation_id
from instances.operations import first_look
from instances.operations.procedures.provision import what_is_taken
from instances.operations.steps import exact
from instances.outside import Outside, engine_address

Json = dict[str, Any]
_SWARM_LABEL = "com.docker.swarm.task.id"


@dataclass(frozen=True)
class AdoptRequest:
    """Which container is to become whose instance. Without a host, the only one there is.

    With `force` also one that does not answer well, with `accept_host_access` one that reaches its host, with
    `of_another_installation` one that another dockmgr made.
    """

    customer_id: str
    subdomain: str
    container: str
    plan: str = "pro"
    host: str | None = None
    force: bool = False
    accept_host_access: bool = False
    of_another_installation: bool = False

    def checked(self) -> AdoptRequest:
        """The order, if its texts have the right form. Raises RequestError."""
        validators.customer_id(self.customer_id)
        validators.subdomain(self.subdomain)
        validators.container_name(self.container)
        allowed = (self.force, self.accept_host_access, self.of_another_installation)
        if not all(isinstance(given, bool) for given in allowed):
            raise RequestError("What is allowed of a container that is adopted must be true or false.")
        return self


@dataclass(frozen=True)
class Adoptable:
    """A container that can be adopted, and all that is kept of it.

    `place` is where the host has its port, None where it publishes none; `seen` what the look at it saw;
    `reaches` how it reaches its host. `replaces` is the customer's adopted instance whose container is gone:
    somebody made this one anew.
    """

    order: AdoptRequest
    plan: Plan
    host: Host
    facts: ContainerFacts
    image: str
    place: Binding | None
    digest: str
    env: dict[str, str] = field(repr=False)
    document: Json = field(repr=False)
    seen: Check | None = None
    reaches: tuple[str, ...] = ()
    replaces: Instance | None = None

    def instance(self) -> Instance:
        """The unsaved instance that is to be made of it."""
        return Instance(
            customer_id=self.order.customer_id,
            subdomain=self.order.subdomain,
            plan=self.plan,
            host=self.host,
            image=self.image,
            env=self.env,
            port=self.place.port if self.place else None,
            container=self.facts.name,
            adopted=self.document,
            container_id=self.facts.id,
            image_id=self.facts.image_id,
            image_digest=self.digest,
            volumes=storage.mounted(self.document["HostConfig"]),
            made_with={"further_ports": {}, "health_port": None, "container_port": self.document["Port"]},
        )


def look(order: AdoptRequest, outside: Outside) -> Adoptable:
    """Find out what there is to adopt; changes nothing.

    Raises RequestError when the order is wrong or the container can't be adopted, NotWell when it does
    not answer well, and OutOfReachError when that or its engine can't be asked.
    """
    plan, host = lookup.plan(order.checked().plan), host_named(order.host)
    engine = outside.engines.at(engine_address(host))
    replaces = _replaced(order, host, engine)
    taken = "" if replaces else what_is_taken(order.customer_id, order.subdomain)
    if taken:
        raise RequestError(taken)
    container = engine.describe(order.container)
    if container is None:
        raise RequestError(f"There is no container {order.container} on host {host.name}.")
    facts = container_facts(container)
    refused = (
        _refusal(container, facts)
        or managed(host, facts, replaces, order.customer_id)
        or _made_by_another(order, facts)
    )
    reaches = host_access.reach(container["HostConfig"], container.get("Mounts") or [])
    if not refused and reaches and not order.accept_host_access:
        refused = host_access.refusal(facts.name, reaches)
    if refused:
        raise RequestError(refused)
    found = replace(_found(order, plan, host, container, _image_of(engine, facts)), replaces=replaces)
    refuse_taken_port(found)
    return _looked_at(replace(found, reaches=reaches), outside)


def _looked_at(found: Adoptable, outside: Outside) -> Adoptable:
    draft = found.instance()
    check = first_look.look_once(draft, outside)
    refused = first_look.refusal(draft, found.place, check)
    if refused and not found.order.force:
        raise refused
    return found if refused else replace(found, seen=check)


def _replaced(order: AdoptRequest, host: Host, engine: Engine) -> Instance | None:
    """The customer's adopted instance, when others took its container away or made it anew."""
    names = {"customer_id": order.customer_id, "subdomain": order.subdomain}
    known = Instance.objects.present().filter(host=host, **names).exclude(container="").first()
    gone = known is not None and engine.inspect(known.container_id) is None
    return known if gone else None


def _found(order: AdoptRequest, plan: Plan, host: Host, container: Json, image: Json) -> Adoptable:
    facts = container_facts(container)
    inner, place = _port(container, facts, plan, host)
    return Adoptable(
        order,
        plan,
        host,
        facts,
        image=_reference(facts, image),
        digest=exact.digest_of(image_facts(image), facts.image_ref),
        place=place,
        env=adoption.environment(container, image),
        document={**adoption.derive(container, image), "Port": inner},
    )


def _port(container: Json, facts: ContainerFacts, plan: Plan, host: Host) -> tuple[int, Binding | None]:
    """The container's port that counts, and where its host has it.

    One that shares the host's network has it there. One that publishes nothing is asked at its own address,
    or not at all.
    """
    inner = adoption.chosen_port(facts.ports, plan.container_port)
    if inner is not None:
        return inner, best(bindings(container, inner), host.address) or Binding(*facts.ports[inner])
    if facts.network_mode == "host":
        return plan.container_port, Binding("", plan.container_port)
    asked_there = asks_network(ask_of(plan))
    if facts.ports or (asked_there and not facts.address):
        raise RequestError(_no_port(facts, plan))
    return plan.container_port, None


def host_named(name: str | None) -> Host:
    """The host of that name, or the only one there is. Raises RequestError."""
    if name:
        return lookup.host(name)
    hosts = list(Host.objects.all()[:2])
    if not hosts:
        raise RequestError("There is no host.")
    if len(hosts) > 1:
        raise RequestError("There is more than one host: name the container's with --host.")
    return hosts[0]


def _refusal(container: Json, facts: ContainerFacts) -> str:
    """Why a container can't be adopted, as a sentence; empty when nothing speaks against it."""
    host = container["HostConfig"]
    if facts.state != "running":
        return f"The container {facts.name} is {facts.state}: only a running one can be adopted."
    if host.get("AutoRemove"):
        return f"The container {facts.name} removes itself when it stops, so it could not be restarted."
    if facts.network_mode.startswith("container:"):
        return f"The container {facts.name} shares the network of another container and has none to keep."
    if _SWARM_LABEL in facts.labels:
        return f"The container {facts.name} belongs to a swarm service, which looks after it already."
    return ""


def _made_by_another(order: AdoptRequest, facts: ContainerFacts) -> str:
    if order.of_another_installation or not spec.is_made_elsewhere(facts.labels, installation_id()):
        return ""
    return (
        f"The container {facts.name} was made by another installation of dockmgr, which may look after it. "
        "Where that one is no more, adopt it with --of-another-installation."
    )


def managed(host: Host, facts: ContainerFacts, replaces: Instance | None, customer_id: str) -> str:
    """Whose instance the container is, or whose container's name it has, now or while it is updated.

    One of ours that no instance has is its customer's alone.
    """
    labelled = facts.labels.get(spec.CUSTOMER_LABEL, "")
    if spec.is_managed(facts.labels) and labelled != customer_id:
        return f"The container {facts.name} has the labels of customer {labelled}: adopt it as that one's."
    present = Instance.objects.present().filter(host=host)
    if replaces is not None:
        present = present.exclude(pk=replaces.pk)
    known = present.filter(Q(container_id=facts.id) | _named(facts.name)).first()
    if known:
        return f"The container {facts.name} is managed already, as that of {known.customer_id}."
    origin = spec.derived_from(facts.name)
    owner = present.filter(_named(origin)).first() if origin else None
    if owner:
        return f"The name {facts.name} is kept for updates of {owner.customer_id}: rename the container."
    return ""


def _named(container: str) -> Q:
    """Instances whose container has this name."""
    return Q(container=container) | Q(container="", customer_id=spec.customer_named(container))


def _image_of(engine: Engine, facts: ContainerFacts) -> Json:
    image = engine.describe_image(facts.image_id)
    if image is None:
        raise RequestError(
            f"The image of {facts.name} is gone from its host, so what is the container's own can't be told."
        )
    return image


def _no_port(facts: ContainerFacts, plan: Plan) -> str:
    published = ", ".join(map(str, sorted(facts.ports))) or "none"
    return (
        f"The container {facts.name} does not publish TCP port {plan.container_port}, at which plan "
        f"{plan.name} asks for health; it publishes {published}."
    )


def refuse_taken_port(found: Adoptable) -> None:
    """Raises RequestError where another instance has the port that the container publishes."""
    host, place = found.host, found.place
    rows = Port.objects.filter(host=host, number=place.port) if place else Port.objects.none()
    held = rows.select_related("instance").first()
    if held and held.instance != found.replaces:
        raise RequestError(
            f"Port {held.number} of host {host.name} is reserved for {held.instance.customer_id}."
        )


def _reference(facts: ContainerFacts, image: Json) -> str:
    """What the container was made from; the image's id where it was made by that, or by no good name."""
    ref, digits = facts.image_ref, facts.image_ref.removeprefix("sha256:")
    tagged = any(tag in (ref, f"{ref}:latest") for tag in image.get("RepoTags") or [])
    if not tagged and facts.image_id.removeprefix("sha256:").startswith(digits):
        return facts.image_id
    try:
        return validators.image(ref)
    except RequestError:
        return facts.image_id
