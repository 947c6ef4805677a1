"""Asking the workers for something and waiting for what they answer, for processes that may not look."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from celery import Task
from celery.result import AsyncResult

from instances.db.clock import SYSTEM
from instances.errors import DEFECT, DockmgrError, OutOfReachError
from tasks.app import app
from tasks.broker.connection import reaching_broker, require_broker

WAITS = (0.02, 0.03, 0.05)  # seconds between looks at the answer, and from then on:
LONGEST_WAIT = 0.1
READ_AGAIN_SECONDS = 10


class NoAnswer(OutOfReachError):
    """No worker answered in time."""


@dataclass(frozen=True)
class TaskResult:
    """What an ended task returned, or why it failed."""

    value: Any = None
    error: DockmgrError | None = None


def call(
    task: Task[..., Any], seconds: float, /, has_gone: Callable[[], bool] = lambda: False, **kwargs: Any
) -> Any:
    """What the task returns, within `seconds`; workers drop it when that time is over.

    Raises what the task raised, NoAnswer when no worker answered, or when whoever asked `has_gone` meanwhile,
    OutOfReachError without a broker.
    """
    until = SYSTEM.now().timestamp() + seconds
    with reaching_broker():
        answer = _send(task, kwargs, expires=seconds)
        done = _wait(answer.ready, until, has_gone)
    if not done and has_gone():
        raise NoAnswer("Whoever asked has gone.")
    if not done:
        raise NoAnswer(f"No worker answered within {seconds:g} s.")
    with reaching_broker():
        value = answer.result
        answer.forget()
    if isinstance(value, BaseException):
        raise _failure(value)
    return value


def submit(task: Task[..., Any], task_id: uuid.UUID, /, **kwargs: Any) -> None:
    """Have the workers do the task under this id. Raises OutOfReachError without a broker."""
    with reaching_broker():
        _send(task, kwargs, task_id=str(task_id))


def task_result(task_id: uuid.UUID) -> TaskResult | None:
    """How a submitted task ended; None while it has not. Raises OutOfReachError without a broker.

    A task whose result is no longer kept looks like one that has not ended.
    """
    require_broker()
    with reaching_broker():
        answer: AsyncResult[Any] = AsyncResult(str(task_id), app=app)
        if not answer.ready():
            return None
        value = answer.result
    return TaskResult(None, _failure(value)) if isinstance(value, BaseException) else TaskResult(value)


def let_go(task_id: uuid.UUID) -> None:
    """Have the answer of a submitted task go soon: it was read, and may be read again at once.

    Where that can't be said just now it goes by itself, a little later.
    """
    expire_in = getattr(app.backend, "expire_in", None)
    if expire_in is not None:
        with suppress(OutOfReachError), reaching_broker():
            expire_in(str(task_id), READ_AGAIN_SECONDS)


def _send(task: Task[..., Any], kwargs: dict[str, Any], **options: Any) -> AsyncResult[Any]:
    require_broker()
    untold: dict[str, Any] = {"argsrepr": "", "kwargsrepr": ""}  # no argument in a worker's log
    answer: AsyncResult[Any] = task.apply_async(kwargs=kwargs, **untold, **options)
    return answer


def _wait(ready: Callable[[], bool], until: float, has_gone: Callable[[], bool]) -> bool:
    for pause in chain(WAITS, repeat(LONGEST_WAIT)):
        if ready():
            return True
        if SYSTEM.now().timestamp() >= until or has_gone():
            return False
        SYSTEM.sleep(pause)
    raise AssertionError("the pauses never end")


def _failure(raised: BaseException) -> DockmgrError:
    """What may be told of it: sentences are meant to be read, anything else is a defect."""
    if isinstance(raised, DockmgrError):
        return raised
    defect = DockmgrError(DEFECT)
    defect.__cause__ = raised
    return defect
