"""Update: taking an instance for it, and which of the two ways it goes."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from instances.checks.transition import change
from instances.containers import drift
from instances.errors import RequestError
from instances.models import Instance, Operation
from instances.operations.begin import open_operation
from instances.operations.image_choice import OutsideImage
from instances.operations.procedure import Procedure
from instances.operations.procedures import update_start_first, update_stop_first
from instances.operations.requester import Requester
from instances.operations.steps.pull import TOLD

RECREATE, START_FIRST = "recreate", "start_first"  # as plans say
WAY = "strategy"  # the parameter of an operation


def begin(
    instance: Instance,
    now: datetime,
    requester: Requester,
    *,
    image: str | None,
    told: uuid.UUID | None = None,
    choice: OutsideImage | None = None,
) -> Operation:
    """Take the instance for an update, to `image` or to what its reference names now.

    The registry's answer may be one to the update `told`, of another instance on its host.
    Raises RequestError when it has nothing to update, BusyError while it is being changed.
    """
    if not instance.container_id:
        raise RequestError(f"{instance.customer_id} has no container to update.")
    params = {
        "image": image,
        "old_container": instance.container_id,
        "port": instance.port,
        WAY: _way(instance),
        **({TOLD: str(told)} if told else {}),
    }
    with transaction.atomic():
        operation = open_operation("update", instance, now, requester, params=params, choice=choice)
        change(instance.pk, now, lambda state: state)  # outdates checks that are under way
    return operation


def _way(instance: Instance) -> str:
    """The plan's way of updating; two containers never share a data volume, whatever it says.

    Nor do they share further ports, or the ports and addresses of an adopted one.
    """
    alone = drift.runs_alone(instance.plan.spec()) or instance.further_ports or instance.is_adopted
    return RECREATE if alone else str(instance.plan.update_strategy)


def procedure(operation: Operation) -> Procedure:
    """The steps of an update, which goes on in the way it began whatever its plan says by now."""
    is_start_first = operation.params.get(WAY) == START_FIRST
    return update_start_first.PROCEDURE if is_start_first else update_stop_first.PROCEDURE
