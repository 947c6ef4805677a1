"""Telling channels that ask for it of every operation that ended."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from instances import documents
from instances.alerts import messages
from instances.alerts.context import rules_of
from instances.alerts.rules import Labels, concerns
from instances.documents import Document
from instances.incidents.rules import Severity
from instances.models import Channel, Notification, Operation

KIND = "operation"
_WORDS = {"succeeded": "succeeded", "failed": "failed", "rolled_back": "was rolled back"}


def tell(operation: Operation, now: datetime) -> None:
    """Write down what channels are to be told of an operation that has just been closed.

    Call it in the transaction that closes it: the messages are there exactly when its end is.
    """
    channels = Channel.objects.filter(enabled=True, operations=True).defer("url")
    those = [channel for channel in channels if _is_for(channel, operation)]
    rows = [messages.row(channel, of_operation(operation), now) for channel in those]
    Notification.objects.bulk_create(rows)


def of_operation(operation: Operation) -> Document:
    """The message about an operation that ended; its OPERATION goes with it."""
    title = f"{operation.kind.capitalize()} of {operation.customer_id} {_WORDS[operation.status]}"
    why = f": {operation.error}" if operation.error else "."
    text = f"{title}, asked for by {operation.requested_by}{why}"
    return {
        **messages.blank(uuid4(), KIND, _level(operation).value, title, text),
        "customer_id": operation.customer_id,
        "host": operation.host.name if operation.host else None,
        "cause": operation.kind,
        "link": messages.link_to(operation),
        "operation": documents.operation(operation),
    }


def _is_for(channel: Channel, operation: Operation) -> bool:
    rules = rules_of(channel)
    if _level(operation).rank < rules.min_level.rank:
        return False
    plan = operation.instance.plan.name if operation.instance else str(operation.params.get("plan", ""))
    host = operation.host.name if operation.host else ""
    return concerns(rules, Labels("instance", host, plan, operation.customer_id))


def _level(operation: Operation) -> Severity:
    return Severity.INFO if operation.status == "succeeded" else Severity.WARNING
