"""Giving a database session back while its thread waits for something else."""

from __future__ import annotations

from django.db import connection


def release_session() -> None:
    """Close this thread's session, unless a transaction is open; the next query opens a new one."""
    if not connection.in_atomic_block:
        connection.close()
