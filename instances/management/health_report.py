"""How the health commands report: one table, one exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from instances.documents import shapes
from instances.health.response import ENGINE_REFUSED, PROBER
from instances.health.state import Status
from instances.management.base import FleetCommand
from instances.management.codes import BAD, GOOD, OUT_OF_REACH

UNSEEN = ("engine", ENGINE_REFUSED, PROBER)


def exit_code(checks: Sequence[shapes.Check]) -> int:
    """3 when an engine was out of reach, or dockmgr could not look; 1 when anything else is not healthy."""
    if any(check["reason"] in UNSEEN and _is_unknown(check) for check in checks):
        return OUT_OF_REACH
    return GOOD if all(check["healthy"] for check in checks) else BAD


def _is_unknown(check: shapes.Check) -> bool:
    return check["status"] == Status.UNKNOWN or not check.get("applied", True)


def show_checks(command: FleetCommand, document: dict[str, Any]) -> None:
    if "enqueued" in document:
        command.line(f"enqueued: {document['enqueued']}")
        return
    columns = ("customer_id", "status", "http_status", "latency_ms", "version", "container_state", "error")
    command.listing(columns, document["instances"])
    for row in document["instances"]:
        if row.get("not_applied"):
            said = f"{row['customer_id']}: what was seen does not count: {row['not_applied']}"
            command.line(said)
    sums = f"{document['healthy']} healthy, {document['unhealthy']} unhealthy, {document['unknown']} unknown"
    if "restarted" in document:
        sums += f"; restarted: {', '.join(document['restarted']) or 'none'}; {document['seconds']:.1f} s"
    command.line(sums)
