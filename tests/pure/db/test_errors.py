"""What a failing database means: to an operator in a sentence, and to whoever could try again."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, InternalError, OperationalError

from instances.db.errors import database_sentence, may_pass


class Refusal(Exception):
    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.sqlstate = state


def refused(state: str, kind: type[DatabaseError] = OperationalError) -> DatabaseError:
    error = kind("s3ntinel")
    error.__cause__ = Refusal(state)
    return error


FAILURES: dict[str, tuple[DatabaseError, str, bool]] = {
    "away": (OperationalError("connection refused"), "can't be reached", True),
    "cut": (refused("57P01"), "can't be reached", True),
    "a wrong password": (
        OperationalError('FATAL:  password authentication failed for user "s3ntinel"'),
        "its user name or password is wrong",
        True,
    ),
    "no such database": (
        OperationalError('FATAL:  database "s3ntinel" does not exist'),
        "it has no database or no user of that name",
        True,
    ),
    "no session left": (
        OperationalError("FATAL:  sorry, too many clients already"),
        "as many sessions as it takes (max_connections)",
        True,
    ),
    "starting": (
        OperationalError("FATAL:  the database system is starting up"),
        "it is starting up",
        True,
    ),
    "read-only": (refused("25006", InternalError), "it is read-only", True),
    "read-only file": (OperationalError("attempt to write a readonly database"), "it is read-only", True),
    "full": (refused("53100"), "its disk is full", True),
    "full file": (OperationalError("database or disk is full"), "its disk is full", True),
    "locked by others": (refused("55P03"), "was busy with changes of others", True),
    "a ring of locks": (refused("40P01"), "was busy with changes of others", True),
    "locked file": (OperationalError("database is locked"), "was busy with changes of others", True),
    "not migrated": (refused("42P01"), "can't be reached", False),
    "not migrated file": (OperationalError("no such table: x"), "run manage.py migrate first", True),
}


@pytest.mark.parametrize(("error", "words", "passes"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_told_and_judged(error: DatabaseError, words: str, passes: bool) -> None:
    sentence = database_sentence(error)
    assert words in sentence and "s3ntinel" not in sentence
    assert may_pass(error) is passes
