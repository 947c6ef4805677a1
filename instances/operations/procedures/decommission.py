"""Decommission: the container goes; the data volume only when that is asked for."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from instances.checks.transition import change
from instances.db.locks import lock_in_order
from instances.errors import RequestError, UnreadableSecret
from instances.incidents.lifecycle import close_of
from instances.models import Health, Instance, Operation
from instances.operations.journal import open_operation
from instances.operations.requester import Requester
from instances.operations.runner import Procedure, Step, Work


def begin(
    instance: Instance,
    now: datetime,
    requester: Requester,
    *,
    purge_data: bool,
) -> Operation:
    """Take the instance for its removal. Raises BusyError, or RequestError for data that is not ours."""
    if purge_data and instance.is_adopted:
        raise RequestError(
            f"{instance.customer_id} was adopted: dockmgr did not make its volumes and does not remove them; "
            "decommission it without --purge-data."
        )
    with transaction.atomic():
        operation = open_operation(
            "decommission",
            instance,
            now,
            requester,
            params={"purge_data": purge_data},
        )
        change(instance.pk, now, lambda state: state)  # outdates checks that are under way
    return operation


def _stop(work: Work) -> str:
    work.engine.stop(work.instance.container_id, _stop_timeout(work.instance))
    return "stopped"


def _stop_timeout(instance: Instance) -> int:
    """Also an instance whose secrets can't be read any more can be removed."""
    try:
        return instance.stop_timeout
    except UnreadableSecret:
        return int(instance.plan.stop_timeout)


def _remove_container(work: Work) -> str:
    if work.engine.inspect(work.instance.container_id) is None:
        return "there is none"
    work.engine.remove_own(work.instance.container_id)
    return "removed"


def _remove_volume(work: Work) -> str:
    if not work.operation.params["purge_data"]:
        return "kept"
    work.engine.remove_volume(work.instance.volume_name)
    return "removed with all data"


def _succeeded(work: Work) -> None:
    """The row stays for its history, without its secrets; its names and port are free again.

    Of a throwaway instance only the journal stays.
    """
    instance, now = work.instance, work.outside.clock.now()
    lock_in_order(Health.objects.filter(pk=instance.pk))
    close_of(instance, "the instance was removed", now)
    if instance.expires_at:
        instance.delete()
        return
    instance.ports.all().delete()
    instance.env = {}
    instance.adopted = None
    instance.port = None
    instance.decommissioned_at = now
    work.save("env", "adopted", "port", "decommissioned_at")


PROCEDURE = Procedure(
    kind="decommission",
    steps=(
        Step("stop", _stop, interrupts=True),
        Step("remove container", _remove_container, interrupts=True),
        Step("remove volume", _remove_volume, interrupts=True),
    ),
    succeeded=_succeeded,
)
