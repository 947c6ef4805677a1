"""Updates that will find nothing newer: a registry is asked once for all on a host who follow one image."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from instances.models import Instance, Operation
from instances.operations.steps import approval
from instances.operations.steps.pull import TOLD, TOLD_FOR


class Answers:
    """What registries answered to updates of late, by host and reference."""

    def __init__(self, updates: Iterable[Operation], now: datetime) -> None:
        self._said: dict[tuple[int | None, object], tuple[object, uuid.UUID]] = {}
        asked = (each for each in updates if TOLD not in each.params)  # few, and only these are unsealed
        for update in asked:
            if update.created_at >= now - TOLD_FOR / 2 and (fetched := approval.fetched_by(update)):
                self._said[(update.host_id, fetched.get("ref"))] = (fetched.get("id"), update.pk)

    def to(self, instance: Instance, ref: str | None = None) -> uuid.UUID | None:
        """The update whose answer is what the instance runs already: its own seems to have nothing to do.

        `ref` is what it is updated to, where that is not what it follows.
        """
        asked = (instance.host_id, ref or instance.image_ref)
        image_id, update = self._said.get(asked, (None, None))
        return update if image_id == instance.image_id else None
