"""Containers that others renamed, replaced or paused: written down with since when, and told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from instances.incidents import lifecycle
from instances.incidents.lifecycle import Alarm
from instances.incidents.rules import CONTAINER, Severity, container_key
from instances.models import Incident, Instance

PUT_RIGHT = "the container is as it should be again"


@dataclass(frozen=True)
class FindingChange:
    """What is odd now about the container of an instance, as a code and a sentence; empty for nothing."""

    instance_id: int
    finding: str
    text: str


@transaction.atomic(savepoint=False)
def apply_findings(changes: Iterable[FindingChange], now: datetime) -> None:
    """Write down what changed, and open, go on with or end the incidents about it.

    Call it in the transaction of what found it, with the rows of the instances' health locked or written.
    """
    for change in sorted(changes, key=lambda change: change.instance_id):
        _apply(change, now)


def _apply(change: FindingChange, now: datetime) -> None:
    instance = Instance.objects.without_secrets().get(pk=change.instance_id)
    instance.finding, instance.finding_text = change.finding, change.text
    instance.finding_since = now if change.finding else None
    instance.save(update_fields=["finding", "finding_text", "finding_since"])
    key = container_key(instance.customer_id)
    if change.finding:
        alarm = Alarm(key, CONTAINER, change.finding, change.text, Severity.WARNING, instance=instance)
        lifecycle.open_incident(alarm, now)
        return
    for incident in Incident.objects.open().filter(key=key):
        lifecycle.resolve(incident, PUT_RIGHT, now)
