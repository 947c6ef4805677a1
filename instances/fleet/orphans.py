"""Containers and volumes of ours that no instance has: what a restored backup, or a crash, left unknown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db.models import Exists, OuterRef

from instances.containers.orphans import Holding, orphaned
from instances.models import Host, Instance, Operation
from instances.outside import Outside, engine_address


def orphans_on(host: Host, outside: Outside) -> list[dict[str, Any]]:
    """What is on the host's engine and unknown to the database. Raises OutOfReachError.

    Nothing is changed. A container can be adopted; what to do with data only people know.
    """
    engine = outside.engines.at(engine_address(host))
    found = orphaned(engine.list_containers(), engine.managed_volumes(), _held(host))
    return [{"host": host.name, **asdict(orphan)} for orphan in found]


def _held(host: Host) -> dict[str, Holding]:
    unfinished = Operation.objects.filter(customer_id=OuterRef("customer_id"), finished_at=None)
    present = Instance.objects.present().filter(host=host)
    changing = set(present.filter(Exists(unfinished)).values_list("pk", flat=True))
    return {
        row.customer_id: Holding(row.container_id, frozenset(row.held_volumes), row.pk in changing)
        for row in present.without_secrets()
    }
