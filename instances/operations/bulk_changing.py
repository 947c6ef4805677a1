"""One order for many instances: begun a few at a time, so that a host is not overrun."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction

from instances.errors import DockmgrError, RequestError
from instances.models import Bulk, Instance, Operation
from instances.operations import calls

MOST_INSTANCES = 5000
AT_ONCE = 20  # operations of one order, over all hosts
PACED = ("restart", "update")


def order(verb: str, instance_ids: Iterable[int], *, by: str, reason: str) -> Bulk:
    """Write the order down; nothing happens yet. Raises RequestError for no instances or too many."""
    chosen = list(dict.fromkeys(instance_ids))
    if not 1 <= len(chosen) <= MOST_INSTANCES:
        raise RequestError(f"An order is for 1 to {MOST_INSTANCES} instances, not {len(chosen)}.")
    now = calls.OUTSIDE.clock.now()
    return Bulk.objects.create(
        verb=verb, by=by[:64], reason=reason[:255], created_at=now, instances=chosen, pending=chosen
    )


@dataclass
class Turn:
    """What was begun and is to be handed to the workers; `more` while some instances still wait."""

    operations: list[Operation] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    more: bool = False


@transaction.atomic
def advance(bulk_id: uuid.UUID) -> Turn:
    """Begin what may begin now. Refusals are noted by customer and stop nothing."""
    bulk = Bulk.objects.select_for_update().get(pk=bulk_id)
    turn, done = Turn(), _gone(bulk)
    for instance in list(_whose_turn(bulk)):
        done.add(instance.pk)
        try:
            _begin(bulk, instance, turn)
        except DockmgrError as refusal:
            bulk.refused[instance.customer_id] = str(refusal)
    bulk.pending = [key for key in bulk.pending if key not in done]
    bulk.save(update_fields=["pending", "refused"])
    turn.more = bool(bulk.pending)
    return turn


def operations_of(bulk: Bulk, instance_ids: Iterable[int]) -> dict[int, Operation]:
    """What became of these instances, where an operation was begun for them."""
    wanted = {_request_id(bulk, key): key for key in instance_ids}
    rows = Operation.objects.filter(request_id__in=wanted)
    return {wanted[str(row.request_id)]: row for row in rows}


def unfinished(bulk: Bulk) -> list[Operation]:
    """Operations of this order that are under way."""
    return list(Operation.objects.filter(request_id__startswith=bulk.request_prefix, finished_at=None))


def _request_id(bulk: Bulk, instance_id: int) -> str:
    return f"{bulk.request_prefix}{instance_id}"


def _present(keys: Iterable[int]) -> list[Instance]:
    rows = Instance.objects.present().filter(pk__in=list(keys)).in_bulk()
    return [rows[key] for key in keys if key in rows]


def _gone(bulk: Bulk) -> set[int]:
    """Instances that were decommissioned while they waited."""
    left = set(bulk.pending)
    return left - set(Instance.objects.present().filter(pk__in=left).values_list("pk", flat=True))


def _whose_turn(bulk: Bulk) -> Iterator[Instance]:
    """All at once where the customer feels nothing; else no more than a host and the workers bear."""
    if bulk.verb not in PACED:
        yield from _present(bulk.pending)
        return
    running = unfinished(bulk)
    per_host, room = Counter(row.host_id for row in running), AT_ONCE - len(running)
    for instance in _present(bulk.pending):
        if room > 0 and per_host[instance.host_id] < settings.RESTARTS_PER_HOST:
            per_host[instance.host_id] += 1
            room -= 1
            yield instance


def _begin(bulk: Bulk, instance: Instance, turn: Turn) -> None:
    customer_id = instance.customer_id
    asked = calls.Asked(bulk.by, bulk.reason, _request_id(bulk, instance.pk))
    if bulk.verb == "restart":
        turn.operations.append(calls.begin_restart(customer_id, asked))
    elif bulk.verb == "update":
        turn.operations.append(calls.begin_update(customer_id, asked))
    elif bulk.verb == "pause":
        calls.pause(customer_id)
    else:
        turn.checks.append(customer_id)
