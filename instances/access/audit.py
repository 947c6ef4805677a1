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
        actor=_text(actor, 128),
        address=address,
        action=_text(action, 64),
        target=_text(target, 128),
        reason=_text(reason, 255),
        outcome=_text(outcome, 255),
    )


def _text(value: str, length: int) -> str:
    """What a text column of any database takes."""
    return value.encode("utf-8", "replace").decode().replace("\0", "")[:length]
