"""Test deployments that other services ask for by task: each is made once for its request id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import transaction

from instances import lookup
from instances.access.asked import noted
from instances.access.audit import LONGEST_OUTCOME, audit, earlier
from instances.db.clock import SYSTEM
from instances.db.locks import lock_in_order
from instances.db.retry import retry_on_disconnect
from instances.documents import shapes
from instances.errors import BusyError, DockmgrError
from instances.fleet.trial import DONE, made_before, run_trial
from instances.models import AuditEntry, Plan
from instances.operations.requester import Requester
from tasks.policies import TRIAL
from tasks.records import SURFACE, actor

ACTION = "test deployment"
BEGUN = "begun"


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


@transaction.atomic
def _entry(plan: Plan, asked: Mapping[str, Any], requester: Requester) -> tuple[AuditEntry, bool]:
    """The entry of this request in the audit log, and whether it is new.

    Two at once wait for each other, also where one id came for two plans.
    """
    lock_in_order(Plan.objects.all())
    now = SYSTEM.now()
    before = earlier(SURFACE, requester.request_id, ACTION, plan.name, asked)
    if before is not None and not _is_lost(before):
        return before, False
    outcome, request_id = noted(BEGUN, asked, LONGEST_OUTCOME), requester.request_id or ""
    who, why = actor(requester), requester.reason
    return audit(SURFACE, who, None, ACTION, plan.name, why, outcome, now, request_id), True


def _is_lost(entry: AuditEntry) -> bool:
    """Whether its worker must be dead, which ended the test deployment as well."""
    return entry.outcome == BEGUN and entry.at + timedelta(seconds=TRIAL.time_limit) < SYSTEM.now()


@contextmanager
def _forgotten_on_failure(entry: AuditEntry) -> Iterator[None]:
    """What could not be made leaves its request id free."""
    try:
        yield
    except BaseException as error:
        why = str(error) if isinstance(error, DockmgrError) else "not made"
        _save(entry, request_id="", outcome=why[:LONGEST_OUTCOME])
        raise


def _save(entry: AuditEntry, **columns: str) -> None:
    retry_on_disconnect(lambda: AuditEntry.objects.filter(pk=entry.pk).update(**columns), SYSTEM)
