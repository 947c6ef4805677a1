"""The JSON documents of the public contract."""

from instances.documents.rows import (
    Document,
    check,
    checks,
    fresh_check,
    history,
    instance,
    operation,
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
    "operation",
    "sweep",
    "time",
    "token",
    "told_in_full",
]
