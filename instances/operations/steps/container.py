"""Making an instance's container from its spec: used by every operation that makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from django.db.models import Q

from instances.containers import adoption, host_sources, storage
from instances.containers.facts import ContainerFacts, ImageFacts
from instances.containers.network_words import too_long
from instances.containers.spec import OPERATION_LABEL, ContainerSpec, is_managed, operation_of
from instances.errors import DataMissing, NotFoundOnEngine, PermanentError, PortTaken
from instances.models import Instance, Operation
from instances.models.installation import own_label
from instances.operations.procedure import Work
from instances.operations.steps import approval, generated, network, owner, ports, taken_name
from instances.operations.steps.fetch import fetch
from instances.operations.steps.former_values import forget_replaced

PORT_TRIES = 50
OF_THE_MADE = ("container_id", "volumes", "made_with")


def ensure_image(work: Work, ref: str) -> ImageFacts:
    """The image on the engine, pulled only when it is not there yet."""
    image = work.engine.image(ref)
    if image is None:
        work.journal.remember(pulled=True)
        image = fetch(work, ref)
    return image


def create(work: Work, image: str) -> str:
    """Create the instance's container from its spec, on `image`, and record its id and its volumes."""
    instance, wanted = work.instance, _wanted(work, image)
    container_id = make(work, wanted)
    if container_id != instance.container_id:
        note_made(instance, container_id, wanted)
        work.save(*OF_THE_MADE)
        forget_replaced(work, container_id)
    return container_id


def _wanted(work: Work, image: str) -> ContainerSpec:
    """The container as it would be made now; what that needs of ports and secrets is there afterwards."""
    ports.complete(work)
    generated.complete(work)
    wanted = replace(work.instance.spec(), image=image)
    engine_chooses = work.instance.adopted is not None and _any_port(work)
    return replace(wanted, host_port=0) if engine_chooses else wanted


def note_made(instance: Instance, container_id: str, spec: ContainerSpec) -> None:
    """From now on this is its container, and its data is in what that was made with; nothing is written."""
    instance.container_id = container_id
    if instance.adopted is None:
        instance.volumes = storage.volumes(spec)
        instance.made_with = made_with(instance, spec.further_ports)


def made_with(instance: Instance, further: Mapping[str, int]) -> dict[str, Any]:
    """What is kept of its container's further ports, for as long as its plan may come to publish others."""
    asked = instance.plan.health.get("port")
    own = asked if f"{asked}/tcp" in further else None
    return {"container_id": instance.container_id, "further_ports": dict(further), "health_port": own}


def missing_data(work: Work, names: list[str]) -> DataMissing:
    """What there is to say when volumes of the instance are not there."""
    instance, what = work.instance, "volumes" if len(names) > 1 else "volume"
    return DataMissing(
        f"The data of {instance.customer_id} is missing: host {instance.host.name} has no {what} "
        f"{', '.join(names)}. Put it back, or begin anew with restart --with-empty-data."
    )


def make(work: Work, spec: ContainerSpec) -> str:
    """Create a container that carries the operation's id, and return its own.

    One that an earlier try of the same operation made is kept. One that an earlier operation on this
    customer left behind is removed. Raises PermanentError where anybody else's container has the name,
    which is never touched, for an image that the instance may not run, and for a way to the host that
    nobody accepted. Raises DataMissing for volumes that are not there.
    """
    image = _image_allowed(work, spec)
    container_id = _made_earlier(work, spec) or _made_now(work, replace(spec, image=image))
    owner.give_new_volumes(work, spec)
    return container_id


def _made_now(work: Work, spec: ContainerSpec) -> str:
    if spec.network:
        network.ready(work.engine, spec.network)
    asked = replace(spec, labels=signed(work, spec.labels), raw=_with_sources(work, spec.raw))
    return taken_name.made(work, lambda: work.engine.create(asked), lambda: _made_earlier(work, spec))


def _image_allowed(work: Work, spec: ContainerSpec) -> str:
    """The image's id, where nothing speaks against making the container. Raises as `make` does."""
    if trouble := too_long(spec.options.hostname):
        raise PermanentError(f"{trouble} See hostname of its plan.")
    image = approval.approved_id(work, spec.image)
    approval.see_host_access(work, spec)
    _see_data(work, spec)
    return image


def _see_data(work: Work, spec: ContainerSpec) -> None:
    """Engines make volumes that are not there by the way, empty; and mount those of others."""
    missing = []
    for name in storage.volumes(spec):
        labels = work.engine.volume_labels(name)
        if labels is None:
            missing.append(name)
        else:
            refuse_foreign(work, name, labels, is_mounted=_is_mounted(work, name, labels))
    if missing:
        raise missing_data(work, missing)


def refuse_foreign(work: Work, name: str, labels: Mapping[str, str], *, is_mounted: bool = False) -> None:
    """Raise DataMissing for a volume that is somebody else's by now.

    Labels of other tools say nothing on one that `is_mounted`, by a container that serves the customer.
    """
    customer, instance = work.instance.customer_id, work.instance
    if storage.is_foreign(labels, customer, adopted=is_mounted or instance.adopted is not None):
        raise DataMissing(
            f"The data of {customer} is missing: the volume {name} is that of {storage.owner(labels)}, "
            "and is not mounted."
        )


def _is_mounted(work: Work, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a container that serves, or served, the customer has the volume; ours need no asking."""
    if not labels or is_managed(labels):
        return False
    known = (work.instance.container_id, work.operation.params.get("old_container"))
    found = (work.engine.inspect(which) for which in known if which)
    return any(name in facts.volumes for facts in found if facts is not None)


def _with_sources(work: Work, raw: dict[str, Any] | None) -> dict[str, Any] | None:
    """Data on the host is never made by the way, unless beginning with empty data is what was asked for."""
    if raw is None:
        return None
    begins_empty = work.operation.params.get("with_empty_data")
    return host_sources.making_sources(raw) if begins_empty else host_sources.checking_sources(raw)


def signed(work: Work, labels: Mapping[str, str]) -> dict[str, str]:
    """The labels with the operation's id, by which it knows again what it made, and whose that is.

    Neither is of the spec: a container of an older release is not of earlier settings for want of it.
    """
    return {**labels, **own_label(), OPERATION_LABEL: str(work.operation.pk)}


def is_ours(work: Work, labels: Mapping[str, str]) -> bool:
    """Whether this very operation made what carries these labels."""
    return labels.get(OPERATION_LABEL) == str(work.operation.pk)


def _made_earlier(work: Work, spec: ContainerSpec) -> str | None:
    facts = taken_name.settled(work, spec.name)
    if facts is None:
        return None
    if not taken_name.can_run(work, facts) or not is_ours(work, facts.labels):
        remove_left_behind(work, facts)
    elif taken_name.is_half_made(facts, spec):
        work.engine.remove(facts.id)
        _renew_volumes(work, spec)
    elif spec.raw is None:
        return facts.id
    else:  # whoever made it may have died before it had joined all its networks
        work.engine.remove(facts.id)
    return None


def _renew_volumes(work: Work, spec: ContainerSpec) -> None:
    """An engine that ended while it copied an image's files into a new volume never copies the rest."""
    if work.operation.facts.get("started_at"):
        return  # a program has written into them by now
    for name in spec.volumes:
        labels = work.engine.volume_labels(name)
        if labels is not None and is_ours(work, labels):
            work.engine.remove_volume(name)
            work.engine.create_volume(name, labels)


def remove_left_behind(work: Work, facts: ContainerFacts) -> None:
    """Remove a container that an earlier operation on the customer ended without keeping.

    Raises PermanentError for the instance's own, unless it never runs again, and for anybody else's.
    """
    if facts.id == work.instance.container_id and not taken_name.can_run(work, facts):
        work.engine.remove_own(facts.id)
        return
    see_left_behind(work, facts)
    work.engine.remove(facts.id)


def see_left_behind(work: Work, facts: ContainerFacts) -> None:
    """Raise PermanentError for a container that `remove_left_behind` would not remove, unless it is dead."""
    if facts.id == work.instance.container_id or not was_left_behind(work, facts):
        raise PermanentError(
            f"A container named {facts.name} is in the way on {work.instance.host.name}; "
            "dockmgr does not remove what it did not make."
        )


def was_left_behind(work: Work, facts: ContainerFacts) -> bool:
    """Whether another operation on the customer made the container, or set it aside, and ended before it
    was removed.
    """
    by = Q(pk=operation_of(facts.labels)) | Q(params__old_container=facts.id)
    return Operation.objects.filter(by, customer_id=work.instance.customer_id).exists()


def remove_made(work: Work) -> None:
    """Remove the container this operation made, if it made one, with all that was made along with it."""
    facts = work.engine.inspect(work.instance.container_name)
    if facts is not None and is_ours(work, facts.labels):
        work.engine.remove_own(facts.id, anonymous_volumes=True)


def start(work: Work, container: str) -> None:
    """Start a container of the instance, and write its port down where the engine chose another one."""
    network.rejoin(work, container)
    taken_name.start(work, container)
    instance = work.instance
    if instance.adopted is None or not adoption.port_changes(instance.adopted, instance.container_port):
        return
    facts = work.engine.inspect(container)
    if facts is not None and instance.container_port in facts.ports:
        ports.follow(work, facts.ports[instance.container_port][1])


def start_on_free_port(work: Work, ready: Callable[[], str]) -> None:
    """Start the container; when something else on the host holds its port, move to another one.

    That makes it anew, on the image that `ready` returns. `ready` raises where something would be lost by
    it, before anything is removed.
    """
    for _ in range(PORT_TRIES):
        work.go_on()
        try:
            start(work, work.instance.container_id)
            return
        except PortTaken:
            if work.instance.adopted is not None:
                if not _let_engine_choose(work, ready):
                    raise  # its ports are its own
                continue
            image = _ready(work, ready)
            ports.move_all(work)
            work.engine.remove_own(work.instance.container_id)
            create(work, image)
        except NotFoundOnEngine:  # a move to another port was cut short between removing and making
            if taken_name.is_there(work, work.instance.container_id):
                raise  # something else is gone, such as the container whose network it is to share
            create(work, ready())
    raise every_port_taken(work)


def every_port_taken(work: Work) -> PermanentError:
    """What there is to say when `PORT_TRIES` ports were held by something else."""
    return PermanentError(f"Host {work.instance.host.name} refused {PORT_TRIES} ports in a row.")


def _ready(work: Work, ready: Callable[[], str]) -> str:
    """The image to make the container anew of, where nothing stands in the way of that."""
    image = ready()
    _image_allowed(work, _wanted(work, image))
    return image


def _let_engine_choose(work: Work, ready: Callable[[], str]) -> bool:
    """Make an adopted one anew with a port of the engine's choice, if its port was that and it can be.

    Only a container this operation made is: nobody has written anything into it yet.
    """
    facts, asked = work.engine.inspect(work.instance.container_id), work.instance.spec().host_port
    if not asked or facts is None or not is_ours(work, facts.labels) or _any_port(work):
        return False
    image = _ready(work, ready)
    work.journal.remember(any_port=True)
    work.engine.remove_own(facts.id)
    create(work, image)
    return True


def _any_port(work: Work) -> bool:
    return bool(work.operation.facts.get("any_port"))
