"""How the health commands report: one table, one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instances.health.state import Status
from instances.management.base import BAD, GOOD, OUT_OF_REACH, FleetCommand
from instances.models import Health


def exit_code(rows: Sequence[Health]) -> int:
    """3 when an engine was out of reach, 1 when anything else is not healthy, 0 when all is well."""
    if any(row.status == Status.UNKNOWN and row.reason == "engine" for row in rows):
        return OUT_OF_REACH
    return GOOD if all(row.status == Status.HEALTHY for row in rows) else BAD


def show_checks(command: FleetCommand, document: dict[str, Any]) -> None:
    if "enqueued" in document:
        command.console.print(f"enqueued: {document['enqueued']}")
        return
    columns = ("customer_id", "status", "http_status", "latency_ms", "version", "container_state", "error")
    command.table(columns, [[row[column] for column in columns] for row in document["instances"]])
    sums = f"{document['healthy']} healthy, {document['unhealthy']} unhealthy, {document['unknown']} unknown"
    if "restarted" in document:
        sums += f"; restarted: {', '.join(document['restarted']) or 'none'}; {document['seconds']:.1f} s"
    command.console.print(sums)
