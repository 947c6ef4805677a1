"""Stored times in queries: one that lies in the future is unknown, a limit too far ahead has passed."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

from instances.lib.clock import AHEAD


def ahead(column: str, now: datetime) -> Q:
    """A moment that was written by a clock that ran fast."""
    return Q(**{f"{column}__gt": now + AHEAD})


def reached(column: str, now: datetime, longest: timedelta) -> Q:
    """A time limit that has passed, or that nobody can have set: it is further ahead than `longest`."""
    return Q(**{f"{column}__lte": now}) | Q(**{f"{column}__gt": now + longest + AHEAD})
