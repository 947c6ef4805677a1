"""For the few statements that may take long: the limits on time are lifted for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

LIMITS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@contextmanager
def unlimited() -> Iterator[None]:
    """Statements of this thread may take as long as they need.

    It changes the session, so it does not work through a pooler that shares sessions by transaction.
    """
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    session: Any = connection.connection
    usual, session.answer_timeout = session.answer_timeout, None
    try:
        _tell("SET {} = 0")
        yield
    finally:
        if connection.connection is session and not session.closed:
            _tell("RESET {}")
            session.answer_timeout = usual


def _tell(words: str) -> None:
    with connection.cursor() as cursor:
        for name in LIMITS:
            cursor.execute(words.format(name))
