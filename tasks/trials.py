"""Test deployments that other services ask for: each is made once for its request id, and is on record."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from instances import lookup
from instances.access.asked import noted, parted
from instances.access.audit import LONGEST_OUTCOME, Author, audit, earlier
from instances.db.clock import SYSTEM
from instances.db.locks import lock_in_order
from instances.db.retry import retry_on_disconnect
from instances.documents import shapes
from instances.errors import BusyError, DockmgrError
from instances.fleet.trial import DONE, made_before, run_trial
from instances.models import AuditEntry, Plan
from instances.operations.requester import Requester
from tasks.policies import TRIAL
from tasks.records import TRIAL as ACTION
from tasks.records import actor

BEGUN = "begun"
LOST = "Its worker ended before it did; what is left of it is removed."


def once_for_its_id(
    plan: str, image: str | None, host: str | None, requester: Requester
) -> shapes.TrialResult:
    """What `run_trial` comes to, or how the one ended that was made under this request id.

    Raises RequestError for what `run_trial` refuses, and for an id that was used for something else.
    Raises BusyError while it is being made.
    """
    row, asked = lookup.plan(plan), {"image": image, "host": host}
    entry, is_new = retry_on_disconnect(lambda: _entry(row, asked, requester), SYSTEM)
    if not is_new:
        if entry.outcome == BEGUN:
            raise BusyError("This test deployment is being made.")
        return made_before(row.name, entry.outcome, entry.at)
    with _forgotten_on_failure(entry):
        made = run_trial(plan, image, host, requester)
    _save(entry, outcome=noted(made.error or DONE, asked, LONGEST_OUTCOME))
    return made.document()


def once_for_its_message(
    task_id: object, plan: str, image: str | None, host: str | None, requester: Requester
) -> shapes.TrialResult:
    """The same for one that was asked for over the API, whose message may come twice."""
    return once_for_its_id(plan, image, host, replace(requester, request_id=_identity(task_id)))


def on_record(task_id: uuid.UUID, plan: str) -> shapes.TrialResult | None:
    """How one of the API ended; None while it has not, or has not begun."""
    entry = AuditEntry.objects.filter(request_id=_identity(task_id), surface="api").order_by("-pk").first()
    if entry is None:
        return None
    outcome = parted(entry.outcome)[0]
    if outcome == BEGUN:
        return _failed(plan, LOST) if _is_late(entry) else None
    return made_before(plan, DONE, entry.at) if outcome == DONE else _failed(plan, outcome)


def _identity(task_id: object) -> str:
    return f"test-deployment:{task_id}"


def _failed(plan: str, error: str) -> shapes.TrialResult:
    return {"success": False, "plan": plan, "steps": [], "error": error}


@transaction.atomic
def _entry(plan: Plan, asked: Mapping[str, Any], requester: Requester) -> tuple[AuditEntry, bool]:
    """The entry of this request in the audit log, and whether it is new.

    Two at once wait for each other, also where one id came for two plans.
    """
    lock_in_order(Plan.objects.all())
    before = earlier(requester.surface, requester.request_id, ACTION, plan.name, asked)
    if before is not None and not _is_lost(before):
        return before, False
    who = requester.requested_by if requester.surface == "api" else actor(requester)
    by = Author(requester.surface, who, requester.address, requester.reason, requester.request_id or "")
    return audit(by, ACTION, plan.name, BEGUN, SYSTEM.now(), asked), True


def _is_lost(entry: AuditEntry) -> bool:
    """Whether its worker must be dead, which ended the test deployment as well."""
    return entry.outcome == BEGUN and _is_late(entry)


def _is_late(entry: AuditEntry) -> bool:
    return entry.at + timedelta(seconds=TRIAL.time_limit) < SYSTEM.now()


@contextmanager
def _forgotten_on_failure(entry: AuditEntry) -> Iterator[None]:
    """What could not be made leaves its request id free; one of the API is never used for another."""
    try:
        yield
    except BaseException as error:
        why = str(error) if isinstance(error, DockmgrError) else "not made"
        kept = entry.request_id if entry.surface == "api" else ""
        _save(entry, request_id=kept, outcome=why[:LONGEST_OUTCOME])
        raise


def _save(entry: AuditEntry, **columns: str) -> None:
    retry_on_disconnect(lambda: AuditEntry.objects.filter(pk=entry.pk).update(**columns), SYSTEM)
