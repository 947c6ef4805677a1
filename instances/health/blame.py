"""Whose trouble a failure is, and so what it may say of an instance: pure judgement."""

from __future__ import annotations

from enum import StrEnum

from instances.errors import DiskFull, DockmgrError, OutOfReachError, OwnTrouble


class Whose(StrEnum):
    """OWN: dockmgr's, which says nothing of instance or host. HOST: its engine's, or a registry's."""

    INSTANCE = "instance"
    HOST = "host"
    OWN = "own"


def whose(error: Exception) -> Whose:
    """Who is at fault for a failure. What is not one of our errors is a defect, and so our own."""
    if isinstance(error, OwnTrouble) or not isinstance(error, DockmgrError):
        return Whose.OWN
    return Whose.HOST if isinstance(error, OutOfReachError | DiskFull) else Whose.INSTANCE
