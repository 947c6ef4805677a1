"""Carries an operation out: its steps in order, each recorded, undone when it can't be finished.

An operation can be carried on by any process at any point: steps recorded as done are skipped, the
one under way is done again (every step may be done twice), and undoing goes on where it stopped.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from itertools import zip_longest

from instances import state_file
from instances.checks.policy import jitter
from instances.db.errors import may_pass
from instances.db.retry import retry_on_disconnect
from instances.errors import (
    BusyError,
    DockmgrError,
    EngineUnreachable,
    EngineUnusable,
    LeaseLost,
    OutOfReachError,
    RetryLater,
    TransientError,
)
from instances.health.blame import Whose, whose
from instances.lib.backoff import wait_before_next
from instances.lib.log_context import about
from instances.limits import LATER, REFUSALS, STEP, longest_call
from instances.models import Operation
from instances.operations.attempts import (
    NothingToDo,
    TryAgain,
    as_told,
    attempt,
    courtesy,
    persist,
    try_again,
)
from instances.operations.fence import fenced
from instances.operations.journal import Journal
from instances.operations.last_words import keep_before_end
from instances.operations.procedure import Procedure, Step, StepTookTooLong, Work
from instances.operations.remains import remains
from instances.outside import Outside, engine_address, learn_engine

logger = logging.getLogger(__name__)

CLOSE = "close"  # the name under which it is recorded that an operation could not be closed


def run(procedure: Procedure, operation_id: uuid.UUID, outside: Outside, until: str = "") -> Operation:
    """Carry the operation as far as it goes: to its end, or to TryAgain, which also follows the step `until`.

    A finished operation is returned as it ended. Raises BusyError when another process is at it.
    """
    journal = retry_on_disconnect(lambda: Journal.claim(operation_id, outside.clock), outside.clock)
    if journal is None:
        operation = Operation.objects.get(pk=operation_id)
        if operation.finished_at is None:
            raise BusyError(f"The {operation.kind} of {operation.customer_id} is being worked on elsewhere.")
        return operation
    with about(operation_id=str(operation_id), customer_id=journal.operation.customer_id):
        with journal.heartbeat():
            retry_on_disconnect(lambda: _run_from_journal(procedure, journal, outside, until), outside.clock)
        courtesy("The state file", state_file.write)
        operation = Operation.objects.get(pk=operation_id)
        what, customer = operation.kind, operation.customer_id
        logger.info("%s of %s %s. %s", what, customer, operation.status, operation.error)
    return operation


def close_unstarted(procedure: Procedure, operation_id: uuid.UUID, outside: Outside, why: str) -> bool:
    """Close an operation before its first step, when nothing has happened to the instance; else leave it.

    Returns whether it was closed.
    """
    journal = Journal.claim(operation_id, outside.clock)
    if journal is None:
        return False
    if journal.operation.steps:
        journal.release(0.0)
        return False
    work = _work(journal, outside)
    _turn_back(work, why, own_trouble=True)
    _undo(procedure, work)
    return True


def _work(journal: Journal, outside: Outside) -> Work:
    instance = journal.operation.instance
    if instance is None:
        raise LeaseLost("The operation's instance is gone.")
    bare = outside.engines.at(engine_address(instance.host))

    def keep_last_words(container: str) -> None:
        keep_before_end(instance, bare, journal.operation, container, outside.clock.now())

    engine = fenced(bare, journal, keep_last_words)
    return Work(instance=instance, engine=engine, journal=journal, outside=outside)


def _run_from_journal(procedure: Procedure, journal: Journal, outside: Outside, until: str) -> None:
    """Carry on from what the journal says, and not from what a cut left in memory."""
    journal.refresh()
    if journal.operation.finished_at is not None:
        return
    if journal.operation.instance is None:
        close_without_instance(journal)
    else:
        work = _work(journal, outside)
        work.until = until
        _run(procedure, work)


def close_without_instance(journal: Journal) -> None:
    """End what nobody can carry on any more."""
    journal.close("failed", f"{journal.operation.error} Its instance is gone.".lstrip())


def _run(procedure: Procedure, work: Work) -> None:
    if work.operation.undoing:
        _undo(procedure, work)
        return
    try:
        _do_all(procedure, work)
        _succeed(procedure, work)
    except (LeaseLost, TryAgain):
        raise
    except TransientError as error:
        _again_or_undo(procedure, work, error)
    except Exception as error:
        if may_pass(error):
            raise  # It is carried on here or elsewhere, at the latest when the lease runs out.
        _give_up(procedure, work, as_told(error, work))


def _succeed(procedure: Procedure, work: Work) -> None:
    def close() -> None:
        with work.closing():
            procedure.succeeded(work)
            work.journal.close("succeeded")

    try:
        attempt(CLOSE, close, work)
    except BusyError as error:  # what was done is well; its health is written by others all the time
        try_again(work, error)


def _do_all(procedure: Procedure, work: Work) -> None:
    if work.operation.facts.get("enough"):
        return
    ahead = _ahead(procedure, work)
    if ahead:
        work.journal.begin(ahead[0].name, interrupts=ahead[0].interrupts)
    for step, following in zip_longest(ahead, ahead[1:]):
        try:
            detail = _do(step, work)
        except NothingToDo as enough:
            work.journal.end(step.name, str(enough), facts={**work.operation.facts, "enough": True})
            return
        if following is None:
            work.journal.end(step.name, detail)
        else:
            work.journal.end(step.name, detail, begins=following.name, interrupts=following.interrupts)
    if work.until:
        work.journal.release(0.0)
        raise TryAgain("Somebody else carries it on from here.", 0.0)


def _ahead(procedure: Procedure, work: Work) -> list[Step]:
    """The steps that are still to be done here."""
    names = [step.name for step in procedure.steps]
    here = procedure.steps[: names.index(work.until) + 1] if work.until else procedure.steps
    return [step for step in here if not work.journal.is_done(step.name)]


def _do(step: Step, work: Work) -> str:
    _bound(step, work)
    return attempt(step.name, lambda: _do_on_known_engine(step, work), work)


def _do_on_known_engine(step: Step, work: Work) -> str:
    learn_engine(work.instance.host, work.outside.engines)
    return step.do(work)


def _bound(step: Step, work: Work) -> None:
    work.step_until = work.outside.clock.now() + timedelta(seconds=step.limit(work))
    work.journal.keep_until(work.step_until + timedelta(seconds=longest_call(work.instance.stop_timeout)))


def _again_or_undo(procedure: Procedure, work: Work, error: TransientError) -> None:
    wait = wait_before_next(STEP, work.journal.failures(), jitter())
    if wait is None or isinstance(error, StepTookTooLong | EngineUnusable):
        _give_up(procedure, work, error)
    else:
        try_again(work, error, wait + _asked_wait(error, work.journal.failures()))


def _asked_wait(error: TransientError, failures: int) -> float:
    """Seconds that whoever refused wants to be left alone for."""
    if not isinstance(error, RetryLater):
        return 0.0
    usual = wait_before_next(LATER, failures) or LATER.longest
    return usual if error.seconds is None else min(error.seconds, LATER.longest)


def _give_up(procedure: Procedure, work: Work, error: DockmgrError) -> None:
    told = work.redactor.text(str(error))
    if end_is_settled(procedure, work):
        if work.journal.refusals() < REFUSALS:
            try_again(work, error)
        _close_incomplete(work, told)
        return
    work.failure = told
    what = f"{procedure.kind} of {work.operation.customer_id}"
    courtesy(what, lambda: procedure.explain(work), work.redactor.text)
    told = f"{told} {work.operation.facts.get('likely', '')}".rstrip()
    fault = whose(error)
    whose_it_is = {"host_trouble": fault is Whose.HOST, "own_trouble": fault is Whose.OWN}
    away = {"out_of_reach": OutOfReachError, "engine_away": EngineUnreachable}
    _turn_back(work, told, **whose_it_is, **{name: isinstance(error, kind) for name, kind in away.items()})
    _undo(procedure, work)


def _turn_back(work: Work, told: str, **facts: bool) -> None:
    """Record that from here on nothing is left but the way back."""
    work.journal.write(undoing=True, tries=0, error=told, facts={**work.operation.facts, **facts})


def end_is_settled(procedure: Procedure, work: Work) -> bool:
    """Whether a final step has begun: there is no way back."""
    return any(step.final and work.journal.was_begun(step.name) for step in procedure.steps)


def _undo(procedure: Procedure, work: Work) -> None:
    interrupts = any(step.interrupts and work.journal.was_begun(step.name) for step in procedure.steps)
    for step in reversed(procedure.steps):
        if step.undo and work.journal.was_begun(step.name):
            _undo_step(step, work, interrupts=interrupts)
    if persist(CLOSE, lambda: _close_undone(procedure, work), work):
        return
    _close_incomplete(work, work.operation.error)


def _close_undone(procedure: Procedure, work: Work) -> None:
    error, left = work.operation.error, [name.removeprefix("undo ") for name in left_undone(work)]
    if left:
        told = remains(work.instance, work.engine, work.operation)
        error = f"{error} Not undone: {', '.join(left)}. {told}"
    with work.closing():
        procedure.failed(work)
        work.journal.close("failed" if left else procedure.undone_status(work), error)


def _close_incomplete(work: Work, error: str) -> None:
    """End what can neither be finished nor undone, and say what is left where. Checks go on from here."""
    work.journal.close("failed", f"{error} {remains(work.instance, work.engine, work.operation)}")


def left_undone(work: Work) -> list[str]:
    """The steps of the way back that were refused for good."""
    return list(work.operation.facts.get("left_undone", ()))


def _undo_step(step: Step, work: Work, *, interrupts: bool) -> None:
    """The way back cuts the customer off for as long as it takes, once something has cut him off."""
    undo, name = step.undo, f"undo {step.name}"
    if undo is None or work.journal.is_done(name) or name in left_undone(work):
        return
    work.journal.begin(name, interrupts=interrupts)
    _bound(step, work)
    if persist(name, lambda: undo(work), work):
        work.journal.end(name)
    else:  # the rest of the way back is worth going all the same
        work.journal.remember(left_undone=[*left_undone(work), name])
