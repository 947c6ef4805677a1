"""Who did what: the audit log that every surface writes to."""

from __future__ import annotations

from datetime import datetime

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
    )
