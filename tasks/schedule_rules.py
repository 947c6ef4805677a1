"""What beat can make of an entry of its schedule. The rest is refused at the desk, and left out by beat."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from kombu.utils.json import loads

SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=3660)
BOUNDS = "An interval is at least one second and at most ten years."
TOO_LONG = "Its interval is longer than ten years."
NO_ZONE = "The time zone of its crontab is not known on this machine."
PLACES = ("queue", "exchange", "routing_key")
DOCUMENTS: dict[str, tuple[type, str]] = {
    "args": (list, "The arguments must be a list in JSON."),
    "kwargs": (dict, "The keyword arguments must be an object in JSON."),
    "headers": (dict, "The headers must be an object in JSON."),
}


def length(every: int, period: str) -> timedelta | None:
    """How long an interval is; None when it is longer than beat can count."""
    try:
        found = timedelta(**{period: every})
    except OverflowError:
        return None
    return found if found <= LONGEST else None


def interval_conflict(every: int, period: str) -> str:
    """Why nothing should run so often, or so seldom; empty when it may."""
    found = length(every, period)
    return BOUNDS if found is None or found < SHORTEST else ""


def document_conflict(field: str, text: str) -> str:
    """Why a text is none of DOCUMENTS; empty when it is, or when nothing is given."""
    shape, sentence = DOCUMENTS[field]
    try:
        found = loads(text) if text else shape()
    except (ValueError, TypeError, AttributeError, RecursionError):  # it makes objects of what it reads
        return sentence
    return "" if isinstance(found, shape) else sentence


def place_conflict(text: str | None, queues: Collection[str]) -> str:
    """Why messages should not go to a queue, exchange or routing key; empty when workers take them there.

    All three have the names of the queues.
    """
    return "" if not text or text in queues else f"Workers take messages from {', '.join(queues)} only."


def task_conflict(name: str, tasks: Collection[str]) -> str:
    """Why a task of this name should not be sent; empty when workers know it."""
    return "" if name in tasks else "The workers know no task of this name."
