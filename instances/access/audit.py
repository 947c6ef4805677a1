"""Who did what: the audit log that every surface writes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from instances.access.asked import OTHER_ARGUMENTS, differs, noted, parted
from instances.errors import RequestError
from instances.models import AuditEntry

LONGEST_OUTCOME = 255


@dataclass(frozen=True)
class Author:
    """Who acts, where and why: `surface` is admin, api, command or task; `address` an IP address or None."""

    surface: str
    actor: str
    address: str | None = None
    reason: str = ""
    request_id: str = ""


def audit(
    by: Author, action: str, target: str, outcome: str, now: datetime, asked: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Write down one action; all that was `asked` is kept as a mark, by which `earlier` tells requests apart.

    Texts are cut to what the log holds. They must be free of secrets: what a caller sent belongs
    here only if it has been checked.
    """
    return AuditEntry.objects.create(
        at=now,
        surface=by.surface,
        actor=by.actor,
        address=by.address,
        action=action,
        target=target,
        reason=by.reason,
        outcome=outcome if asked is None else noted(outcome, asked, LONGEST_OUTCOME),
        request_id=by.request_id,
    )


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
