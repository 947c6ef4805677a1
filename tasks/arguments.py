"""What a message may give a task: its arguments are looked at before any of it is done."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from instances.errors import RequestError

# What other services send; the rest are messages between dockmgr's own processes.
PUBLIC = frozenset({
    "dockmgr.sweep", "dockmgr.check_health", "dockmgr.restart", "dockmgr.update", "dockmgr.provision",
    "dockmgr.decommission", "dockmgr.test_deploy", "dockmgr.logs", "dockmgr.validate",
    "dockmgr.validate_deployment",
})  # fmt: skip
OURS = "request"  # only a sweep asks for a check in these words
LONGEST_SHOWN = 40


def fitting(
    name: str, run: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The named arguments to run a task with. Raises RequestError for what it does not take, or lacks.

    An argument nobody knows is left out of our own messages, as a newer release may have sent it.
    """
    takes = _signature(run)
    known = {key: value for key, value in given.items() if key in takes.parameters}
    unknown = sorted(given.keys() - known.keys())
    if unknown and name in PUBLIC and not known.get(OURS):
        raise RequestError(f"{name} takes {_named(takes)}, and no {unknown[0][:LONGEST_SHOWN]!r}.")
    try:
        takes.bind(*args, **known)
    except TypeError as error:
        raise RequestError(f"{name} takes {_named(takes)}: {error}.") from None
    return known


def number(value: object, what: str) -> int:
    """The number that a message gives. Raises RequestError for what is none."""
    if not isinstance(value, int):
        raise RequestError(f"There is no {what} of that number.")
    return value


@lru_cache(maxsize=64)  # there are fewer tasks
def _signature(run: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(run)


def _named(takes: inspect.Signature) -> str:
    return ", ".join(takes.parameters) or "no arguments"
