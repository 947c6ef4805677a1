"""Trying a part of an operation: how a failure is recorded, and when the part is tried again."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import PurePath
from typing import NoReturn, TypeVar

from instances.checks.policy import jitter
from instances.db.errors import may_pass
from instances.errors import DockmgrError, LeaseLost, OwnDefect, TransientError
from instances.lib.backoff import wait_before_next
from instances.limits import REFUSALS, UNDO
from instances.operations.procedure import StepTookTooLong, Work

logger = logging.getLogger(__name__)

T = TypeVar("T")


class TryAgain(DockmgrError):
    """The operation met a transient failure and may be carried on after `seconds`."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class NothingToDo(Exception):
    """Raised by a step that finds nothing left to do: the operation has succeeded."""


def attempt(name: str, call: Callable[[], T], work: Work) -> T:
    """What `call` returns. How it failed is recorded under `name`, unless it was only cut short.

    Raises DockmgrError, or the database's own error where that may pass.
    """
    try:
        return call()
    except (LeaseLost, NothingToDo):
        raise
    except Exception as error:
        if may_pass(error):
            raise
        failure = as_told(error, work)
        work.journal.fail(name, work.redactor.text(str(failure)), refused=not _may_pass_by_itself(failure))
        raise failure from error


def _may_pass_by_itself(failure: DockmgrError) -> bool:
    """What took too long once would take as long again, though that is nobody's refusal."""
    return isinstance(failure, TransientError) and not isinstance(failure, StepTookTooLong)


def as_told(error: Exception, work: Work) -> DockmgrError:
    """The failure as people are told of it; a defect goes to the log."""
    if isinstance(error, DockmgrError):
        return error
    defect = work.redactor.text("".join(traceback.format_exception(error)))
    logger.error("%s of %s met a defect.\n%s", work.operation.kind, work.operation.customer_id, defect)
    return OwnDefect()


def try_again(work: Work, error: DockmgrError, wait: float | None = None) -> NoReturn:
    """Put the operation down for `wait` seconds, or for as long as undoing waits."""
    seconds = wait or wait_before_next(UNDO, work.journal.failures(), jitter()) or UNDO.longest
    work.journal.release(seconds, tries=work.operation.tries + 1)
    raise TryAgain(work.redactor.text(str(error)), seconds)


def courtesy(what: str, call: Callable[[], None], hide: Callable[[str], str] = str) -> None:
    """Do what is good to have; whatever is in its way is one line in the log and stops nothing.

    `hide` takes secrets out of that line.
    """
    try:
        call()
    except LeaseLost:
        raise
    except Exception as error:
        logger.warning("%s: %s", what, hide(brief(error)))


def brief(error: Exception) -> str:
    """A failure in one line; of a defect its place and not its text, which may hold anything."""
    if isinstance(error, DockmgrError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def persist(name: str, call: Callable[[], None], work: Work) -> bool:
    """Do a part of the way back: whether it is done, or was refused for good. Raises TryAgain."""
    try:
        attempt(name, call, work)
    except LeaseLost:
        raise
    except DockmgrError as error:
        told = work.redactor.text(str(error))
        logger.warning("%s of %s: %s: %s", work.operation.kind, work.operation.customer_id, name, told)
        if _may_pass_by_itself(error) or work.journal.refusals() < REFUSALS:
            try_again(work, error)
        return False
    return True
