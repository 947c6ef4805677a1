"""The JSON documents of the public contract."""

from instances.documents.rows import (
    Document,
    check,
    checks,
    fresh_check,
    history,
    instance,
    last_words,
    operation,
    operation_log,
    sweep,
    time,
    token,
    told_in_full,
)

__all__ = [
    "Document",
    "check",
    "checks",
    "fresh_check",
    "history",
    "instance",
    "last_words",
    "operation",
    "operation_log",
    "sweep",
    "time",
    "token",
    "told_in_full",
]
