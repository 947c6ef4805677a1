"""Asking the workers for something and waiting for what they answer, for processes that may not look."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any

from celery.result import AsyncResult

from dockmgr.celery import app
from instances.clock import SYSTEM
from instances.errors import DockmgrError, OutOfReachError
from tasks.broker import reaching_broker

WAITS = (0.02, 0.03, 0.05)  # seconds between looks at the answer, and from then on:
LONGEST_WAIT = 0.1
DEFECT = "dockmgr itself failed here; its log has the details."


class NoAnswer(OutOfReachError):
    """No worker answered in time."""


def ask(name: str, seconds: float, **kwargs: Any) -> Any:
    """What the task `name` returns, within `seconds`; workers drop it when that time is over.

    Raises what the task raised, NoAnswer when no worker answered, OutOfReachError without a broker.
    """
    until = SYSTEM.now().timestamp() + seconds
    with reaching_broker():
        answer = _send(name, kwargs, expires=seconds)
        done = _wait(answer.ready, until)
    if not done:
        raise NoAnswer(f"No worker answered within {seconds:g} s.")
    with reaching_broker():
        value = answer.result
        answer.forget()
    return _returned(value)


def commission(name: str, task_id: uuid.UUID, **kwargs: Any) -> None:
    """Have the workers do the task `name` under this id. Raises OutOfReachError without a broker."""
    with reaching_broker():
        _send(name, kwargs, task_id=str(task_id))


def outcome(task_id: uuid.UUID) -> tuple[bool, Any]:
    """Whether a commissioned task has ended, and what it returned. Raises what it raised.

    A task whose result is no longer kept looks like one that has not ended.
    """
    with reaching_broker():
        answer: AsyncResult[Any] = AsyncResult(str(task_id), app=app)
        if not answer.ready():
            return False, None
        value = answer.result
    return True, _returned(value)


def _send(name: str, kwargs: dict[str, Any], **options: Any) -> AsyncResult[Any]:
    task: Any = app.tasks[name]
    answer: AsyncResult[Any] = task.apply_async(kwargs=kwargs, argsrepr="", kwargsrepr="", **options)
    return answer


def _wait(ready: Callable[[], bool], until: float) -> bool:
    for pause in chain(WAITS, repeat(LONGEST_WAIT)):
        if ready():
            return True
        if SYSTEM.now().timestamp() >= until:
            return False
        SYSTEM.sleep(pause)
    raise AssertionError("the pauses never end")


def _returned(value: Any) -> Any:
    if isinstance(value, DockmgrError):
        raise value
    if isinstance(value, BaseException):
        raise DockmgrError(DEFECT) from value
    return value
