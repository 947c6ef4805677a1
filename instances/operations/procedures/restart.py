"""Restart: stop, start (or make anew what is gone), wait until healthy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as replace_step
from datetime import datetime

from django.conf import settings
from django.db import transaction
from msgspec.structs import replace

from instances.checks import trust
from instances.checks.policy import jitter, policy
from instances.checks.transition import change
from instances.containers.identity import ALIVE, REPLACED, Listing
from instances.containers.spec import next_name, previous_name
from instances.db.locks import locked
from instances.errors import AnotherEngine, BusyError, CannotRemake, DataMissing, NotOurs, RequestError
from instances.health import restarts
from instances.health.response import sentence
from instances.health.state import State, Status
from instances.models import Host, Instance, Operation
from instances.operations.begin import open_operation
from instances.operations.procedure import Procedure, Step, Work, pull_limit, stop_limit
from instances.operations.requester import Requester, dockmgr
from instances.operations.restart_turns import wait_for_turn
from instances.operations.steps import container, data, exact, own_container, taken_name
from instances.operations.steps.explain import note_own_failed
from instances.operations.steps.start import START, WAIT_UNTIL_HEALTHY, note_healthy, started_at

STOP = "stop"
BEFORE = "before"  # the fact that holds status and last restart from before


def begin(
    instance: Instance, now: datetime, requester: Requester, *, with_empty_data: bool = False
) -> Operation:
    """Take the instance for a restart somebody asked for; always allowed. Raises BusyError.

    `with_empty_data` makes what is missing of its storage, empty.
    """
    params = {"with_empty_data": True} if with_empty_data else {}
    with transaction.atomic():
        operation = open_operation("restart", instance, now, requester, params=params)
        _begun(operation, instance.pk, now, lambda state: state)
    return operation


def _begun(operation: Operation, instance_id: int, now: datetime, judge: Callable[[State], State]) -> State:
    """Write down that a restart begins; returns the new health. The operation keeps what it was before.

    `judge` is given the health that was found, and may refuse by raising.
    """
    found: list[State] = []

    def begin(state: State) -> State:
        found[:] = [judge(state)]
        return restarts.restart_begun(state, now, automatic=operation.automatic)

    begun, before = change(instance_id, now, begin), found[0]
    last = before.last_restart_at
    operation.facts = {BEFORE: [before.status.value, last.isoformat() if last else None]}
    operation.save(update_fields=["facts"])
    return begun


def begin_automatic(instance_id: int, now: datetime) -> Operation | None:
    """Take an unhealthy instance for an automatic restart, or None when that is not called for.

    It is dropped, never queued, when the instance recovered, is being changed, has used up its
    attempts, when healing is held there, or its host already has its share of restarts under way.
    The attempt is counted in the same transaction, so no crash can make it free.
    """
    try:
        with transaction.atomic():
            instance = Instance.objects.without_secrets().filter(pk=instance_id).first()
            if instance is None or instance.leaving_at is not None:
                return None
            locked(Host.objects.filter(pk=instance.host_id)).get()
            wait = wait_for_turn(instance, now)
            if wait is None:
                return _take(instance, now)
            change(
                instance_id, now, lambda state: restarts.restart_denied(_called_for(state, now), now, wait)
            )
    except (_NotCalledForError, BusyError, RequestError):
        pass  # It recovered, is gone, or somebody else is at it: the next check says what is to be done.
    return None


class _NotCalledForError(Exception):
    """The state that was found calls for no restart: nothing of what was begun is kept."""


def _called_for(state: State, now: datetime) -> State:
    if not restarts.may_restart(state, policy(), now):
        raise _NotCalledForError
    return state


def _take(instance: Instance, now: datetime) -> Operation:
    operation = open_operation("restart", instance, now, dockmgr("", automatic=True))
    begun = _begun(operation, instance.pk, now, lambda state: _called_for(state, now))
    failed = "1 failed check" if begun.failures == 1 else f"{begun.failures} failed checks"
    operation.reason = f"{failed}, {_which(begun.restarts_failed)}"
    operation.save(update_fields=["reason"])
    return operation


def _which(attempt: int) -> str:
    limit = settings.RESTART_LIMIT
    return f"attempt {attempt} of {limit}" if attempt <= limit else "tried again after giving up"


def _stop(work: Work) -> str:
    settled = _settle(work)
    _stop_left_behind(work)
    with _noting_refusal(work):
        data.see_sources(work)
    facts = work.engine.inspect(work.instance.container_id) if work.instance.container_id else None
    if facts is None:
        return "there is no container"
    work.engine.stop(facts.id, work.instance.stop_timeout)
    return f"was {facts.state}. {settled}".rstrip(". ")


def _settle(work: Work) -> str:
    try:
        return own_container.settle(work, by_name=False)
    except NotOurs as error:
        work.journal.remember(not_ours=str(error))
        raise


def _stop_left_behind(work: Work) -> None:
    """What an update that came to no good end left running must not write the same data beside this one."""
    name = work.instance.container_name
    for which in (next_name(name), previous_name(name)):
        facts = work.engine.inspect(which)
        if facts is None or facts.id == work.instance.container_id or facts.state not in ALIVE:
            continue
        if container.was_left_behind(work, facts):
            work.engine.stop(facts.id, work.instance.stop_timeout)


def _recreate_if_missing(work: Work) -> str:
    instance = work.instance
    if instance.container_id and taken_name.is_there(work, instance.container_id):
        return "kept"
    with _noting_refusal(work):
        made = data.ready_for_remaking(work)
        image = exact.image_to_run(work)
        container.create(work, image)
    return f"recreated on {image}{made}"


def _start(work: Work) -> str:
    with _noting_refusal(work):
        try:
            return START.do(work)
        except DataMissing as error:
            raise DataMissing(_as_missing(work, str(error))) from None


def _as_missing(work: Work, told: str) -> str:
    """What an engine says of a mount that is not there, as of the customer's data."""
    what = f"The data of {work.instance.customer_id} is missing"
    return told if told.startswith(what) else f"{what}. {told}"


@contextmanager
def _noting_refusal(work: Work) -> Iterator[None]:
    """What is missing is the reason for a status of its own, unless the engine lost more than this."""
    try:
        yield
    except CannotRemake as error:
        _see_that_others_are_there(work)
        work.journal.remember(cannot_remake=[error.reason, str(error)])
        raise


def _see_that_others_are_there(work: Work) -> None:
    """Raise AnotherEngine where so much is missing at once that the engine lost it, and not an instance."""
    stakes, listing = trust.stakes_on(work.instance.host_id), Listing.of(work.engine.list_containers())
    lost = trust.what_is_lost(stakes, listing, work.engine)
    if lost:
        raise AnotherEngine(lost)


def _succeeded(work: Work) -> None:
    note_healthy(work, automatic=work.operation.automatic)
    work.journal.write(image_after=work.instance.image_id)


def _failed(work: Work) -> None:
    facts = work.operation.facts
    if facts.get("own_trouble"):
        _taken_back(work)
    elif facts.get("cannot_remake"):
        _refused(work, *facts["cannot_remake"])
    elif facts.get("not_ours"):
        _prevented(work, REPLACED, facts["not_ours"])
    elif facts.get("host_trouble"):
        lasts = facts.get("engine_away") is False
        _prevented(work, "engine", work.operation.error or sentence("engine"), lasts=lasts)
    else:
        _in_vain(work)


def _in_vain(work: Work) -> None:
    now, started = work.outside.clock.now(), started_at(work)
    rules = policy(work.instance.plan.start_grace)
    change(work.instance.pk, now, lambda s: restarts.restart_failed(s, rules, now, started, jitter()))


def _taken_back(work: Work) -> None:
    """What dockmgr itself is at fault for is not charged to the instance, nor told as a restart of it.

    A container that was stopped all the same is down by our doing: its next check tells.
    """
    now, automatic = work.outside.clock.now(), work.operation.automatic
    status, last_restart_at = _from_before(work)
    change(
        work.instance.pk,
        now,
        lambda s: restarts.restart_withdrawn(s, status, last_restart_at, now, automatic=automatic),
        withdrawn=True,
    )


def _from_before(work: Work) -> tuple[Status, datetime | None]:
    """Status and last restart from before this one; of a container that was stopped it is the last one."""
    if work.journal.is_done(STOP):
        return Status.UNKNOWN, work.operation.started_at
    status, last = work.operation.facts.get(BEFORE) or [Status.UNKNOWN, None]
    return Status(status), datetime.fromisoformat(last) if last else None


def _refused(work: Work, reason: str, told: str) -> None:
    now, refund = work.outside.clock.now(), work.operation.automatic
    rules, why, spread = policy(work.instance.plan.start_grace), (reason, told), jitter()
    change(
        work.instance.pk,
        now,
        lambda s: restarts.remake_refused(s, rules, now, refund=refund, jitter=spread),
        why=why,
    )


def _prevented(work: Work, reason: str, told: str, *, lasts: bool = False) -> None:
    """The host, or a stranger's container, was in the way: an attempt that touched nothing was no restart."""
    now, refund = work.outside.clock.now(), work.operation.automatic
    rules, why = policy(work.instance.plan.start_grace), (reason, told)
    _, last = _from_before(work)

    def prevented(state: State) -> State:
        state = restarts.restart_prevented(state, rules, now, refund=refund, lasts=lasts)
        return replace(state, last_restart_at=last)

    change(work.instance.pk, now, prevented, why=why, withdrawn=not work.journal.is_done(STOP))


PROCEDURE = Procedure(
    kind="restart",
    steps=(
        Step(STOP, _stop, interrupts=True, limit=stop_limit),
        Step("recreate", _recreate_if_missing, interrupts=True, limit=pull_limit),
        replace_step(START, do=_start),
        WAIT_UNTIL_HEALTHY,
    ),
    succeeded=_succeeded,
    failed=_failed,
    explain=note_own_failed,
)
