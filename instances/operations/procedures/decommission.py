"""Decommission: the container goes; the data volume only when that is asked for.

From the first step on nobody looks after the customer any more: a removal that fails half-way is
not healed back, and can be asked for again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from instances.checks.transition import change
from instances.containers import storage
from instances.containers.spec import container_name, is_made_elsewhere
from instances.db.locks import lock_in_order
from instances.errors import PermanentError, RequestError, TransientError
from instances.health.blame import Whose, whose
from instances.health.restarts import resumed
from instances.incidents.lifecycle import close_of
from instances.models import Health, Instance, Operation, PendingPurge
from instances.models.installation import installation_id
from instances.operations.begin import open_operation
from instances.operations.find_own import find_own
from instances.operations.procedure import Procedure, Step, Work, stop_limit
from instances.operations.requester import Requester
from instances.operations.steps import taken_name

AT_ONCE = timedelta(minutes=10)  # in which a removal begins that nothing held up


def begin(
    instance: Instance,
    now: datetime,
    requester: Requester,
    *,
    purge_data: bool,
) -> Operation:
    """Take the instance for its removal. Raises BusyError, or RequestError for data that is not ours."""
    if purge_data and instance.is_adopted and not _may_have_made(instance):
        raise RequestError(
            f"{instance.customer_id} was adopted: dockmgr did not make its volumes and does not remove them; "
            "decommission it without --purge-data."
        )
    with transaction.atomic():
        operation = open_operation(
            "decommission", instance, now, requester, params={"purge_data": purge_data}
        )
        change(instance.pk, now, lambda state: state)  # outdates checks that are under way
    return operation


def _may_have_made(instance: Instance) -> bool:
    """Whether an adopted container has data of a name that dockmgr gives; labels say whose it is."""
    return any(name.startswith(f"{container_name(instance.customer_id)}-") for name in instance.held_volumes)


def _stop(work: Work) -> str:
    _leave(work)
    beside = _find_own(work)
    if work.instance.container_id:
        work.engine.stop(work.instance.container_id, work.instance.stop_timeout)
    return f"stopped. {beside}".rstrip(". ")


def _find_own(work: Work) -> str:
    """What others made in its place and labelled as the customer's goes as well; a stranger's stays."""
    found = find_own(work.engine, work.instance)
    own = found.container
    if own is not None and own.id != work.instance.container_id:
        _refuse_later(work, own.id)
        work.instance.container_id = own.id
        work.save("container_id")
    stays = found.stranger
    return f"{found.sentence} {stays.name} stays as it is" if stays else found.sentence


def _refuse_later(work: Work, container_id: str) -> None:
    """What began since may be of an order that is forgotten: a database was restored to long before it.

    What is removed at once may well have begun a moment ago, as one that ends again and again does.
    """
    asked_at, facts = work.operation.created_at, work.engine.inspect(container_id)
    since = facts.started_at if facts is not None else None
    if since is not None and since > asked_at and work.outside.clock.now() > asked_at + AT_ONCE:
        raise PermanentError(
            f"Another container of {work.instance.customer_id} was started since this removal was asked for "
            f"({asked_at:%Y-%m-%d %H:%M} UTC): decommission {work.instance.customer_id} again if it is to go."
        )


def _leave(work: Work) -> None:
    instance, now = work.instance, work.outside.clock.now()
    if instance.leaving_at is not None:
        return
    with work.journal.holding():
        lock_in_order(Health.objects.filter(pk=instance.pk))
        instance.leaving_at = now
        instance.save(update_fields=["leaving_at"])
        close_of(instance, "the instance is being removed", now)
        change(instance.pk, now, resumed)


def _remove_container(work: Work) -> str:
    if taken_name.settled(work, work.instance.container_id) is None:
        return "there is none"
    # Of a container somebody else made, volumes without a name stay.
    purge = bool(work.operation.params["purge_data"]) and not work.instance.is_adopted
    work.engine.remove_own(work.instance.container_id, anonymous_volumes=purge)
    return taken_name.end_of(work, work.instance.container_id)


def _remove_volumes(work: Work) -> str:
    if not work.operation.params["purge_data"]:
        return "kept"
    names = sorted({*work.instance.held_volumes, *work.instance.planned_volumes})
    return "; ".join(_remove_volume(work, name) for name in names) or "there is none"


def _remove_volume(work: Work, name: str) -> str:
    labels = work.engine.volume_labels(name)
    if labels is None:
        return "there is none"
    # What it was provisioned with and had is its own, whichever installation made that once.
    own = installation_id()
    by = "" if name in work.instance.held_volumes else own
    if not storage.is_customers(labels, work.instance.customer_id, by):
        return f"{name} is that of {storage.owner(labels, by)} and was left alone"
    return _purge(work, name, can_wait=not is_made_elsewhere(labels, own))


def _purge(work: Work, volume: str, *, can_wait: bool) -> str:
    """Data that somebody uses, or that can't be removed, stays for now: `fleet.cleanup` tries again.

    What that would leave to another installation goes now, or the removal has to be asked for again.
    """
    try:
        work.engine.remove_volume(volume)
    except (PermanentError, TransientError) as error:
        if not can_wait or whose(error) is not Whose.INSTANCE:
            raise
        users = ", ".join(work.engine.volume_users(volume))
        PendingPurge.objects.update_or_create(
            host=work.instance.host,
            volume=volume,
            defaults={
                "customer_id": work.instance.customer_id,
                "asked_at": work.outside.clock.now(),
                "holders": (users or str(error))[:255],
            },
        )
        if not users:
            return f"{volume} could not be removed, which is tried again: {error}"
        return f"{volume} is in use by {users}; it is removed with all data once that is over"
    return "removed with all data"


def _succeeded(work: Work) -> None:
    """The row stays for its history, without its secrets; its names and port are free again.

    Of a throwaway instance only the journal stays.
    """
    instance, now = work.instance, work.outside.clock.now()
    close_of(instance, "the instance was removed", now)
    if instance.expires_at:
        work.forget_instance()
        return
    instance.ports.all().delete()
    instance.env = {}
    instance.adopted = None
    instance.port = None
    instance.decommissioned_at = now
    if work.operation.params["purge_data"]:
        instance.volumes = {}
    work.save("env", "adopted", "port", "volumes", "decommissioned_at")
    Instance.objects.filter(pk=instance.pk).update(former_values=None)  # the container is gone


PROCEDURE = Procedure(
    kind="decommission",
    steps=(
        Step("stop", _stop, interrupts=True, limit=stop_limit),
        Step("remove container", _remove_container, interrupts=True),
        Step("remove volume", _remove_volumes, interrupts=True),
    ),
    succeeded=_succeeded,
)
