"""What an instance's data is in: seen to be there before a container is made, and ours by label."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from instances.containers import host_sources, storage
from instances.containers.spec import ContainerSpec, next_name
from instances.errors import NotFoundOnEngine, PermanentError, TransientError
from instances.lib.clock import AHEAD
from instances.limits import LONGEST_CALL
from instances.models import Instance, Operation, PendingPurge
from instances.models.installation import installation_id
from instances.operations.procedure import Work
from instances.operations.steps import container

BEING_REMOVED = "nobody: it is being removed"  # in place of who holds data that is to go


def ready_for_remaking(work: Work) -> str:
    """See that all the data is there that the lost container had; a detail for people, if any.

    What is missing of it is only made when the operation is told to begin with empty volumes; those the
    plan has come to have since are made. What its plan mounts no more is only left out when it is missing as
    well, and the operation is told so. Raises DataMissing, or PermanentError for others' volumes.
    """
    instance, spec = work.instance, work.instance.spec()
    held = {**instance.held_volumes, **_mounted(work, instance.container_id)}
    is_given_up = bool(work.operation.params.get("with_empty_data"))
    there = {name: path for name, path in held.items() if not is_given_up or _is_there(work, name)}
    _refuse_dropped(work, there, spec)
    had = [name for name in storage.volumes(spec) if name in held or spec.raw is not None]
    missing = [name for name in had if not _is_there(work, name)]
    if missing and not is_given_up:
        raise container.missing_data(work, missing)
    for name in missing:
        work.engine.create_volume(name, container.signed(work, spec.labels))
    make_new(work, spec)
    return f", with {', '.join(missing)} made anew and empty" if missing else ""


def see_sources(work: Work) -> None:
    """Raise DataMissing when a file or folder of the host that an adopted container mounts is not there.

    When an engine starts a container that somebody else made, it makes what is missing, empty, and does not
    tell. It does tell when it is asked to make a container. So one is made, and removed.
    """
    instance = work.instance
    kept = work.engine.inspect(instance.container_id) if instance.adopted and instance.container_id else None
    if kept is None or not host_sources.mounts_of_host((instance.adopted or {})["HostConfig"]):
        return
    if work.operation.params.get("with_empty_data"):
        return
    spec, name = instance.spec(), next_name(instance.container_name)
    left = work.engine.inspect(name)
    if left is not None:
        container.remove_left_behind(work, left)
    labels, raw = container.signed(work, spec.labels), host_sources.checking_sources(spec.raw or {})
    with suppress(NotFoundOnEngine):  # its image is gone, and it runs without that
        asked = replace(spec, name=name, image=kept.image_id, labels=labels, raw=raw)
        work.engine.remove(work.engine.create(asked))


def _is_there(work: Work, name: str, *, is_mounted: bool = False) -> bool:
    """Whether the engine has the volume. Raises DataMissing when it is somebody else's by now."""
    labels = work.engine.volume_labels(name)
    if labels is None:
        return False
    container.refuse_foreign(work, name, labels, is_mounted=is_mounted)
    return True


def refuse_loss(work: Work) -> None:
    """Raise PermanentError when the next container would go without data that the present one has."""
    instance, spec = work.instance, work.instance.spec()
    _refuse_dropped(work, _mounted(work, str(work.operation.params["old_container"])), spec)
    missing = [name for name in instance.held_volumes if not _is_there(work, name, is_mounted=True)]
    if missing:
        raise container.missing_data(work, missing)


def _mounted(work: Work, container_id: str) -> dict[str, str]:
    """What a container of ours mounts of the instance's data, with paths in it."""
    instance = work.instance
    facts = work.engine.inspect(container_id) if container_id and instance.adopted is None else None
    ours = {*instance.held_volumes, *instance.planned_volumes, instance.volume_name}
    return {name: path for name, path in (facts.volumes if facts else {}).items() if name in ours}


def _refuse_dropped(work: Work, held: dict[str, str], spec: ContainerSpec) -> None:
    dropped = [] if spec.raw is not None else storage.dropped(held, storage.volumes(spec))
    if dropped:
        raise PermanentError(
            f"The data of {work.instance.customer_id} is in {', '.join(dropped)}, which plan "
            f"{work.instance.plan.name} does not mount there any more: set its {_word(work, dropped)} back."
        )


def _word(work: Work, dropped: list[str]) -> str:
    own = f"{work.instance.volume_name} at"
    return "data_path" if all(said.startswith(own) for said in dropped) else "volumes"


def make_new(work: Work, spec: ContainerSpec) -> None:
    """Make, with our labels, volumes the instance never had. Raises PermanentError for others' volumes."""
    if spec.raw is not None:
        return
    for name in storage.volumes(spec):
        labels = work.engine.volume_labels(name)
        if labels is None and name in work.instance.held_volumes:
            raise container.missing_data(work, [name])
        if labels is None:
            work.engine.create_volume(name, container.signed(work, spec.labels))
        elif name not in work.instance.held_volumes and not _is_of_customer(work, labels):
            raise PermanentError(_in_the_way(work, name, labels))


def take_back_purges(work: Work) -> None:
    """Have nobody remove the former data that is kept. Raises TransientError while somebody just does."""
    if work.operation.params.get("former_data", "") != "keep":
        return
    names = work.instance.planned_volumes
    waiting = PendingPurge.objects.filter(host=work.instance.host, volume__in=names)
    now = work.outside.clock.now()
    lately = (now - timedelta(seconds=LONGEST_CALL), now + AHEAD)  # else whoever began it is gone
    waiting.exclude(holders=BEING_REMOVED, tried_at__range=lately).delete()
    if waiting.exists():
        raise TransientError(f"The data of {work.instance.customer_id} is just being removed.")


def takes_former(work: Work, name: str) -> bool:
    """Whether a new instance goes on with a volume of an earlier one of its customer.

    One that is to be begun anew is removed. Raises PermanentError as `refuse_former` does.
    """
    refuse_former(work, name)
    labels = work.engine.volume_labels(name)
    if labels is None or container.is_ours(work, labels):
        return False
    wanted = work.operation.params.get("former_data", "")
    if wanted == "fresh":
        work.engine.remove_volume(name)
    PendingPurge.objects.filter(host=work.instance.host, volume=name).delete()
    return bool(wanted == "keep")


def remove_former(work: Work) -> None:
    """For one that begins anew, remove former volumes its plan does not mount: with another plan it would.

    Raises PermanentError while a container mounts one.
    """
    if work.operation.params.get("former_data", "") != "fresh":
        return
    for name, labels in sorted(work.engine.managed_volumes().items()):
        is_former = _is_of_customer(work, labels) and not container.is_ours(work, labels)
        if is_former and name not in work.instance.planned_volumes:
            work.engine.remove_volume(name)
            PendingPurge.objects.filter(host=work.instance.host, volume=name).delete()


def refuse_former(work: Work, name: str) -> None:
    """Raise PermanentError for a volume that is not the customer's, and for former data of which nobody
    said what is to become of it. What another installation made for him can be gone on with, and not removed.
    """
    labels, wanted = work.engine.volume_labels(name), work.operation.params.get("former_data", "")
    if labels is None or container.is_ours(work, labels):
        return
    is_kept = wanted == "keep" and storage.is_customers(labels, work.instance.customer_id)
    if not is_kept and not _is_of_customer(work, labels):
        raise PermanentError(_in_the_way(work, name, labels))
    if not wanted:
        raise PermanentError(
            f"Customer {work.instance.customer_id} had an instance before, and its data is in {name}: "
            "say whether to go on with it (--keep-data) or to delete it and begin anew (--fresh)."
        )


def former_with_data(customer_id: str) -> Instance | None:
    """The customer's last instance that was decommissioned, if it had data and that was to be kept."""
    gone = Instance.objects.filter(customer_id=customer_id).exclude(decommissioned_at=None)
    former = gone.select_related("host", "plan").order_by("-decommissioned_at").first()
    if former is None or not former.held_volumes:
        return None
    # Of a customer who left before releases that forget the volumes of what is purged.
    ended = Operation.objects.filter(instance=former, kind="decommission", status="succeeded")
    return None if ended.filter(params__purge_data=True).exists() else former


def refuse_former_elsewhere(work: Work) -> None:
    """Raise PermanentError where the customer's former data is not what the new instance would mount.

    To begin anew is always possible, and leaves it where it is.
    """
    instance, wanted = work.instance, work.operation.params.get("former_data", "")
    is_here = any(work.engine.volume_labels(name) is not None for name in instance.planned_volumes)
    if wanted == "fresh" or is_here:
        return
    customer, former = instance.customer_id, former_with_data(instance.customer_id)
    if former is not None:
        where = f"{', '.join(former.held_volumes)} on host {former.host.name}"
        not_here = f"not in what plan {instance.plan.name} mounts on host {instance.host.name}"
        said = f", {not_here}: name host and plan of it" if wanted else ": go on with it (--keep-data)"
        raise PermanentError(
            f"Customer {customer} had an instance before, and its data is in {where}{said}, "
            "or begin anew (--fresh)."
        )
    if wanted:
        raise PermanentError(f"Host {instance.host.name} has no data of customer {customer} to keep.")


def _is_of_customer(work: Work, labels: dict[str, str]) -> bool:
    return storage.is_customers(labels, work.instance.customer_id, installation_id())


def _in_the_way(work: Work, name: str, labels: dict[str, str]) -> str:
    return (
        f"A volume named {name} is on host {work.instance.host.name} already, that of "
        f"{storage.owner(labels, installation_id())}: dockmgr neither mounts nor removes it."
    )
