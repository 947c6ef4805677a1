"""Who did what: the audit log that every surface writes to."""

from __future__ import annotations

from datetime import datetime

from instances.errors import RequestError
from instances.models import AuditEntry


def audit(
    surface: str,
    actor: str,
    address: str | None,
    action: str,
    target: str,
    reason: str,
    outcome: str,
    now: datetime,
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


def earlier_command(request_id: str | None, action: str, target: str) -> AuditEntry | None:
    """The command that was carried out under this request id, if any.

    Raises RequestError when that was another command, or about something else.
    """
    if not request_id:
        return None
    rows = AuditEntry.objects.filter(request_id=request_id, surface="command")
    found = rows.order_by("-at", "-pk").first()
    if found is not None and (found.action, found.target) != (action, target):
        raise RequestError(f"This request id was used for {found.action} {found.target}.")
    return found
