"""One order for many instances: begun a few at a time, so that a host is not overrun."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from instances.db.among import among
from instances.db.moments import ahead
from instances.errors import BusyError, DockmgrError, LeaseLost, RequestError
from instances.fleet.nothing_newer import Answers
from instances.fleet.rollout import Limits, too_many
from instances.health.state import Status
from instances.models import Bulk, Health, Instance, Operation
from instances.operations import service
from instances.operations.attempts import TryAgain
from instances.operations.requester import Requester
from instances.operations.steps.pull import PULL, TOLD, TOLD_FOR

MOST_INSTANCES = 5000
AT_ONCE = 20  # operations of one order, over all hosts
PACED = ("restart", "update")
BRAKE = Limits()  # of updates
PORTION = 50  # instances until an order's progress is written down
BETWEEN_TURNS = timedelta(seconds=2)
PATIENCE = timedelta(seconds=60)
PASSING = PATIENCE / 3  # in one turn, with those that have nothing newer


def create_bulk(
    key: uuid.UUID, verb: str, instance_ids: Iterable[int], *, by: str, reason: str
) -> tuple[Bulk, bool]:
    """The order of this key, and whether it was written down now; nothing happens to the instances yet.

    Raises RequestError for no instances or too many, and for a key that stands for an order of another kind.
    """
    chosen = list(dict.fromkeys(instance_ids))
    if not 1 <= len(chosen) <= MOST_INSTANCES:
        found = "more are" if chosen else "none is"
        raise RequestError(f"An order is for 1 to {MOST_INSTANCES} instances, and {found} chosen.")
    now = service.OUTSIDE.clock.now()
    said = {"verb": verb, "by": by[:64], "reason": reason[:255]}
    times = {"created_at": now, "due_at": now}
    bulk, is_new = Bulk.objects.get_or_create(
        pk=key, defaults={**said, **times, "instances": chosen, "pending": chosen}
    )
    if bulk.verb != verb:
        raise RequestError(f"The {bulk.verb} of a selection was ordered with this form already.")
    return bulk, is_new


@dataclass
class Turn:
    """What was begun and is to be handed to the workers, and the number of the turn to follow, if any."""

    operations: list[Operation] = field(default_factory=list)
    following: int | None = None


def to_check(bulk_id: uuid.UUID, number: int) -> list[str]:
    """Customers to be checked in this turn, before it is written down: one check too many harms nobody."""
    bulk = Bulk.objects.filter(pk=bulk_id, turn=number, verb="check").first()
    return [instance.customer_id for instance in _present(bulk.pending)] if bulk is not None else []


def advance(bulk_id: uuid.UUID, number: int) -> Turn:
    """Take the turn of this number: begin what may begin now. Refusals are noted and stop nothing.

    Nothing is done when the turn was taken already: somebody else carries the order on. Each instance
    is begun in a transaction of its own, and after every few of them the order's progress is written
    down: whoever takes it up after a crash begins those since then once more, which changes nothing.
    """
    bulk = _take_turn(bulk_id, number)
    if bulk is None:
        return Turn()
    turn, done, ended = Turn(), _gone(bulk), _ended(bulk)
    if why := ended.why_to_stop(len(bulk.instances)):
        _leave_alone(bulk, why)
        return turn
    if ended.wants_canary and not unfinished(bulk):
        goes_on = _pass_by(bulk, done, turn)
        if not _write_down(bulk, done):
            return turn
        if not goes_on:
            return _followed(turn, bulk)
    left = _whose_turn(bulk, ended)
    while portion := list(islice(left, PORTION)):
        for instance in portion:
            done.add(instance.pk)
            turn.operations.extend(_begun(bulk, instance))
        if not _write_down(bulk, done):
            return turn
    _write_down(bulk, done)
    return _followed(turn, bulk)


def _followed(turn: Turn, bulk: Bulk) -> Turn:
    turn.following = bulk.turn if bulk.pending else None
    return turn


@dataclass(frozen=True)
class _Ended:
    """How many operations of an order that can do harm have ended; `tried` had something to do."""

    done: int = 0
    failures: int = 0
    tried: int = 0
    is_braked: bool = False

    def why_to_stop(self, total: int) -> str:
        """Why none of those that wait should be begun, or nothing."""
        return too_many(self.failures, self.tried, self.done, total, BRAKE) if self.is_braked else ""

    @property
    def wants_canary(self) -> bool:
        """Too few have tried yet what the others are to get: one at a time, then."""
        return self.is_braked and self.tried < BRAKE.canaries


def _ended(bulk: Bulk) -> _Ended:
    if bulk.verb != "update":
        return _Ended()
    ended = _operations(bulk).exclude(finished_at=None)
    changed = Q(facts__unchanged__isnull=True) | Q(facts__unchanged=False)
    counts = {
        "done": Count("pk"),
        "failures": Count("pk", filter=~Q(status="succeeded")),
        "tried": Count("pk", filter=changed),
    }
    return _Ended(is_braked=True, **ended.aggregate(**counts))


def _pass_by(bulk: Bulk, done: set[int], turn: Turn) -> bool:
    """See to those here that, as it seems, run what there is to run; whether another one may be begun then.

    Each is an update as any other, asked for and recorded. One that has something to do all the same is the
    canary: the workers carry it on. So none that is not healthy is among them while a healthy one waits.
    """
    now = service.OUTSIDE.clock.now()
    lately = _operations(bulk).filter(finished_at__gte=now - TOLD_FOR, status="succeeded")
    answers = Answers(lately.filter(**{f"params__{TOLD}__isnull": True}), now)
    waiting = Instance.objects.present().filter(among("pk", set(bulk.pending) - done))
    healthy = waiting.filter(health__status=Status.HEALTHY)
    first = (healthy if healthy.exists() else waiting).without_secrets().select_related("plan")
    seeming = {each: update for each in first.order_by("pk") if (update := answers.to(each)) is not None}
    for instance in list(seeming)[:PORTION]:
        if service.OUTSIDE.clock.now() > now + PASSING:
            return False  # before others take the turn for lost
        done.add(instance.pk)
        for operation in _begun(bulk, instance, seeming[instance]):
            if not _has_nothing_newer(operation, turn):
                return False
    return len(seeming) <= PORTION


def _has_nothing_newer(operation: Operation, turn: Turn) -> bool:
    try:
        return service.run_once(operation.pk, until=PULL.name).status == "succeeded"
    except TryAgain:
        turn.operations.append(operation)
    except (BusyError, LeaseLost):
        pass  # Another process carries it on.
    return False


def _leave_alone(bulk: Bulk, why: str) -> None:
    """End the order for all that wait, and tell each of them why."""
    for instance in _present(bulk.pending):
        bulk.refused[instance.customer_id] = f"It was not begun. {why}"
    _write_down(bulk, set(bulk.pending))


def _take_turn(bulk_id: uuid.UUID, number: int) -> Bulk | None:
    due = service.OUTSIDE.clock.now() + BETWEEN_TURNS
    if not Bulk.objects.filter(pk=bulk_id, turn=number).update(turn=number + 1, due_at=due):
        return None
    return Bulk.objects.filter(pk=bulk_id, turn=number + 1).first()


def _write_down(bulk: Bulk, done: set[int]) -> bool:
    """Note how far the turn has come; False when somebody else took the order over meanwhile."""
    bulk.pending = [key for key in bulk.pending if key not in done]
    bulk.due_at = service.OUTSIDE.clock.now() + BETWEEN_TURNS if bulk.pending else None
    return bool(
        Bulk.objects.filter(pk=bulk.pk, turn=bulk.turn).update(
            pending=bulk.pending, refused=bulk.refused, due_at=bulk.due_at
        )
    )


def take_stalled(now: datetime) -> list[Bulk]:
    """Orders whose next turn is long due: the message for it was lost, or its worker died.

    One that is due further ahead than any can be was written by a clock that ran fast.
    Each is had by one process, and not again before the new message had its time.
    """
    late = list(Bulk.objects.filter(Q(due_at__lt=now - PATIENCE) | ahead("due_at", now + PATIENCE)))
    return [bulk for bulk in late if _is_mine(bulk, now)]


def _is_mine(bulk: Bulk, now: datetime) -> bool:
    as_read = Bulk.objects.filter(pk=bulk.pk, turn=bulk.turn, due_at=bulk.due_at)
    return bool(as_read.update(due_at=now))


def operations_of(bulk: Bulk, instance_ids: Iterable[int]) -> dict[int, Operation]:
    """What became of these instances, where an operation was begun for them."""
    wanted = {_request_id(bulk, key): key for key in instance_ids}
    rows = Operation.objects.filter(request_id__in=wanted)
    return {wanted[str(row.request_id)]: row for row in rows}


def unfinished(bulk: Bulk) -> list[Operation]:
    """Operations of this order that are under way."""
    return list(_operations(bulk).filter(finished_at=None))


def _operations(bulk: Bulk) -> QuerySet[Operation]:
    return Operation.objects.filter(request_id__startswith=bulk.request_prefix)


def _request_id(bulk: Bulk, instance_id: int) -> str:
    return f"{bulk.request_prefix}{instance_id}"


def _present(keys: Iterable[int]) -> list[Instance]:
    rows = Instance.objects.present().filter(pk__in=list(keys)).only("customer_id", "host_id").in_bulk()
    return [rows[key] for key in keys if key in rows]


def _gone(bulk: Bulk) -> set[int]:
    """Instances that were decommissioned while they waited."""
    left = set(bulk.pending)
    return left - set(Instance.objects.present().filter(pk__in=left).values_list("pk", flat=True))


def _whose_turn(bulk: Bulk, ended: _Ended) -> Iterator[Instance]:
    """All at once where the customer feels nothing; else no more than a host and the workers bear.

    Canaries are healthy ones first: they are to tell whether what they get is any good.
    """
    waiting = _present(bulk.pending)
    if bulk.verb not in PACED:
        yield from waiting
        return
    if ended.wants_canary:
        waiting = _healthy_first(waiting)
    running, most = unfinished(bulk), 1 if ended.wants_canary else AT_ONCE
    per_host, room = Counter(row.host_id for row in running), most - len(running)
    for instance in waiting:
        if room > 0 and per_host[instance.host_id] < settings.RESTARTS_PER_HOST:
            per_host[instance.host_id] += 1
            room -= 1
            yield instance


def _healthy_first(instances: list[Instance]) -> list[Instance]:
    keys = [instance.pk for instance in instances]
    healthy = set(
        Health.objects.filter(among("instance_id", keys), status=Status.HEALTHY).values_list(
            "instance_id", flat=True
        )
    )
    return sorted(instances, key=lambda instance: instance.pk not in healthy)


def _begun(bulk: Bulk, instance: Instance, told: uuid.UUID | None = None) -> list[Operation]:
    """What was begun for the instance; nothing where it was refused, which is noted."""
    try:
        return _begin(bulk, instance, told)
    except DockmgrError as refusal:
        bulk.refused[instance.customer_id] = str(refusal)
        return []


def _begin(bulk: Bulk, instance: Instance, told: uuid.UUID | None) -> list[Operation]:
    """Raises DockmgrError when it is refused."""
    customer_id = instance.customer_id
    requester = Requester(bulk.by, bulk.reason, _request_id(bulk, instance.pk))
    if bulk.verb == "restart":
        return [service.begin_restart(customer_id, requester)]
    if bulk.verb == "update":
        return [service.begin_update(customer_id, requester, told=told)]
    if bulk.verb == "pause":
        service.pause(customer_id, requester)
    return []
