"""Who may choose which image: asked when an order is given, and signed where it is outside of the policy."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instances.access.audit import Author, audit
from instances.access.permits import permit, permitted
from instances.errors import NotAllowed, UnreadableSecret
from instances.models import Instance, Plan
from instances.operations.requester import Requester

PERMIT = "image_permit"  # the parameter of an operation
ACTION = "choose image"


@dataclass(frozen=True)
class OutsideImage:
    """An image outside of a plan's policy, chosen by somebody who may."""

    ref: str
    plan: str
    requester: Requester

    def proof(self, operation_id: uuid.UUID, customer_id: str, now: datetime) -> dict[str, str]:
        """The parameter of an operation that proves the choice to the worker who carries it out.

        Who chose what is written down as well, so it belongs into the transaction of the row.
        """
        asked = self.requester
        by = Author(asked.surface, asked.requested_by, asked.address, asked.reason)
        audit(by, ACTION, customer_id, f"{self.ref} is outside of what plan {self.plan} may run", now)
        said = {"ref": self.ref, "by": asked.requested_by, "at": now.isoformat()}
        return {PERMIT: permit(_purpose(operation_id), said)}


def checked(
    plan: Plan, ref: str | None, requester: Requester, instance: Instance | None = None
) -> OutsideImage | None:
    """The choice, where it has to be signed; None for one within the policy or none at all.

    What an instance was allowed to run before by its reference, it may run again. Raises NotAllowed.
    """
    if ref is None or plan.image_policy.allows(ref):
        return None
    if instance is not None and standing(instance).get("ref") == ref:
        return None
    if not requester.may_choose_image:
        raise NotAllowed(plan.image_policy.refusal(ref))
    return OutsideImage(ref, plan.name, requester)


def standing(instance: Instance) -> dict[str, Any]:
    """What a worker noted of the image that the instance runs: its id, its reference and who allowed it."""
    try:
        return instance.approved_image or {}
    except UnreadableSecret:
        return {}


def said_of(operation_id: uuid.UUID, params: dict[str, Any]) -> dict[str, Any]:
    """What the permit in an operation's row says; nothing where it was not signed for this operation."""
    return permitted(params.get(PERMIT), _purpose(operation_id)) or {}


def _purpose(operation_id: uuid.UUID) -> str:
    return f"image of operation {operation_id}"
