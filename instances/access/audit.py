"""Who did what: the audit log that every surface writes to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from instances.access.asked import OTHER_ARGUMENTS, differs, noted, parted
from instances.errors import RequestError
from instances.models import AuditEntry

LONGEST_OUTCOME = 255


def audit(
    surface: str,
    actor: str,
    action: str,
    target: str,
    outcome: str,
    now: datetime,
    *,
    reason: str = "",
    address: str | None = None,
    request_id: str = "",
) -> AuditEntry:
    """Write down one action: `surface` is admin, api, command or task; `address` an IP address or None.

    Texts are cut to what the log holds. They must be free of secrets: what a caller sent belongs
    here only if it has been checked.
    """
    return AuditEntry.objects.create(
        at=now,
        surface=surface,
        actor=actor,
        address=address,
        action=action,
        target=target,
        reason=reason,
        outcome=outcome,
        request_id=request_id,
    )


def audit_command(
    actor: str,
    action: str,
    target: str,
    reason: str,
    outcome: str,
    now: datetime,
    request_id: str = "",
    asked: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Write down one command; with a request id, all that was `asked` is kept as a mark."""
    if request_id:
        outcome = noted(outcome, asked or {}, LONGEST_OUTCOME)
    return audit("command", actor, action, target, outcome, now, reason=reason, request_id=request_id)


def earlier(
    surface: str, request_id: str | None, action: str, target: str, asked: Mapping[str, Any]
) -> AuditEntry | None:
    """What was done on this surface under this request id, if anything was.

    Raises RequestError when that was another action, about something else, or with other arguments.
    """
    if not request_id:
        return None
    rows = AuditEntry.objects.filter(request_id=request_id, surface=surface)
    found = rows.order_by("-at", "-pk").first()
    if found is None:
        return None
    same = f"This request id was used for {found.action} {found.target}"
    if (found.action, found.target) != (action, target):
        raise RequestError(f"{same}.")
    found.outcome, kept = parted(found.outcome)
    if differs(kept, asked):
        raise RequestError(f"{same} {OTHER_ARGUMENTS}.")
    return found
