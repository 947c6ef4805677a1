"""What is known of instances before a check of them is judged."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from instances.db.among import among
from instances.health.state import State, Status
from instances.incidents.deadlines import interruption
from instances.models import Health
from instances.models.health import STATE_FIELDS


class Stored(Struct, frozen=True):
    """An instance's health as read, with what decides whether a check may be applied to it.

    `busy` while an operation is open, `interrupted` while that cuts the customer off.
    """

    revision: int
    state: State
    version: str
    container_id: str
    finding: str
    start_grace: float
    busy: bool
    interrupted: bool
    gone: bool
    leaving: bool
    reason: str = ""
    http_status: int | None = None
    container_state: str = ""
    last_sweep: str | None = None


def read_stored(ids: list[int], now: datetime) -> dict[int, Stored]:
    """By the ids of instances, of those that are there."""
    rows = Health.objects.filter(among("pk", ids)).values_list(
        "instance_id",
        "revision",
        "version",
        "instance__container_id",
        "instance__finding",
        "instance__plan__start_grace",
        "instance__decommissioned_at",
        "instance__leaving_at",
        interruption("instance__customer_id", now),
        "reason",
        "http_status",
        "container_state",
        "last_sweep",
        *STATE_FIELDS,
    )
    return {row[0]: _stored(row) for row in rows}


def _stored(row: tuple[Any, ...]) -> Stored:
    _, revision, version, container_id, finding, grace, decommissioned, leaving, interrupted, *rest = row
    reason, http_status, container_state, last_sweep, status, *others = rest
    return Stored(
        revision=revision,
        state=State(Status(status), *others),
        version=version,
        container_id=container_id,
        finding=finding,
        start_grace=grace,
        busy=interrupted is not None,
        interrupted=bool(interrupted),
        gone=decommissioned is not None,
        leaving=leaving is not None,
        reason=reason,
        http_status=http_status,
        container_state=container_state,
        last_sweep=str(last_sweep) if last_sweep else None,
    )
