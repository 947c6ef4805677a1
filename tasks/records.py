"""What other services ask for by task goes into the audit log, once for each request."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error as DatabaseFailure

from instances.access.audit import Author, audit
from instances.db.clock import SYSTEM
from instances.db.errors import database_sentence
from instances.db.retry import retry_on_disconnect
from instances.errors import DockmgrError, RequestError
from instances.lib import validators
from instances.models import AuditEntry, Operation
from instances.operations.requester import Requester

logger = logging.getLogger(__name__)
SURFACE = "task"
TRIAL = "test deployment"


def recorded(
    action: str, customer_id: str, requester: Requester, begin: Callable[[], Operation]
) -> Operation:
    """Begin an operation and write down that it was asked for, or why it was refused.

    What names no customer touched nothing and is not written down, nor what has the id of a test deployment.
    While others hold the rows, or the database is away, it is tried again for most of a minute: the same
    request never begins twice.
    """
    retry_on_disconnect(lambda: _refuse_used(requester), SYSTEM)
    try:
        operation = retry_on_disconnect(begin, SYSTEM)
    except DockmgrError as error:
        if _names_a_customer(customer_id):
            record(action, customer_id, requester, str(error))
        raise
    record(action, customer_id, requester, f"operation {operation.pk}")
    return operation


def _refuse_used(requester: Requester) -> None:
    rows = AuditEntry.objects.filter(request_id=requester.request_id, surface=SURFACE, action=TRIAL)
    if requester.request_id and (used := rows.first()):
        raise RequestError(f"This request id was used for {used.action} {used.target}.")


def record(action: str, target: str, requester: Requester, outcome: str) -> None:
    """Write down one request as `task:NAME`, and what came of it; a message that comes again is the same."""
    name, request_id = actor(requester), requester.request_id or ""
    entries = AuditEntry.objects.filter(surface=SURFACE, action=action, target=target, outcome=outcome)
    try:
        if not (request_id and entries.filter(request_id=request_id).exists()):
            by = Author(SURFACE, name, reason=requester.reason, request_id=request_id)
            audit(by, action, target, outcome, SYSTEM.now())
    except DatabaseFailure as error:
        logger.error("The audit log lacks %s by %s: %s", action, name, database_sentence(error))


def actor(requester: Requester) -> str:
    """Who asks, as the audit log names other services."""
    return f"task:{requester.requested_by.removeprefix('task:')}"


def _names_a_customer(customer_id: object) -> bool:
    try:
        validators.customer_id(customer_id)
    except RequestError:
        return False
    return True
