"""What a failing database means: to an operator in a sentence, and to whoever could try again."""

from __future__ import annotations

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from instances.db.errors import database_sentence, is_outage, may_pass, takes_no_writes


class Refusal(Exception):
    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.sqlstate = state


def refused(state: str, kind: type[DatabaseError] = OperationalError) -> DatabaseError:
    error = kind("s3ntinel timeout")
    error.__cause__ = Refusal(state)
    return error


FAILURES: dict[str, tuple[DatabaseError, str, bool]] = {
    "away": (OperationalError("s3ntinel"), "can't be reached or refuses to work", True),
    "cut": (refused("57P01"), "can't be reached or refuses to work", True),
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
    "no schema": (refused("3F000", ProgrammingError), "no schema that its user may use", False),
    "no session left": (
        OperationalError("FATAL:  sorry, too many clients already"),
        "as many sessions as it takes (max_connections)",
        True,
    ),
    "a pooler": (
        OperationalError("FATAL:  unsupported startup parameter: options"),
        "it is a pooler, which takes no limits of a session; add ?pgbouncer=1 (DATABASE_URL)",
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
    "full before it is opened": (OperationalError("disk I/O error"), "its disk is full or broken", True),
    "narrow": (refused("22P05"), "its encoding must be UTF8", False),
    "full file": (OperationalError("database or disk is full"), "its disk is full", True),
    "locked by others": (refused("55P03"), "was busy with changes of others", True),
    "a ring of locks": (refused("40P01"), "was busy with changes of others", True),
    "locked file": (OperationalError("database is locked"), "was busy with changes of others", True),
    "not migrated": (refused("42P01"), "run manage.py migrate first", False),
    "a column not migrated": (refused("42703"), "run manage.py migrate first", False),
    "no right": (refused("42501"), "its rights are too few", False),
    "too slow": (refused("57014"), "longer than it may (DOCKMGR_STATEMENT_TIMEOUT", False),
    "no session for this user": (
        OperationalError('FATAL:  too many connections for role "s3ntinel"'),
        "CONNECTION LIMIT",
        True,
    ),
    "a statement a pooler forgot": (refused("26000"), "can't be reached or refuses to work", False),
    "nothing there": (
        OperationalError('connection to server at "s3ntinel", port 9 failed: Connection refused'),
        "can't be reached: nothing listens there",
        True,
    ),
    "no such host": (OperationalError("failed to resolve host 's3ntinel'"), "host is not known", True),
    "silent": (OperationalError("connection timeout expired"), "it does not answer", True),
    "no file": (OperationalError("unable to open database file"), "its file can't be opened", True),
    "another file": (DatabaseError("file is not a database"), "its file is no SQLite database", False),
    "no key file": (
        OperationalError('could not read certificate file "/s3ntinel": No such file or directory'),
        "a file that sslcert, sslkey or sslrootcert names can't be used",
        True,
    ),
    "idle": (refused("25P03"), "can't be reached or refuses to work", True),
    "no socket": (
        OperationalError('connection to server on socket "/s3ntinel" failed: No such file or directory'),
        "can't be reached: nothing listens there",
        True,
    ),
    "no TLS": (OperationalError("server does not support SSL, but SSL was required"), "speaks no TLS", True),
    "no root certificate": (
        OperationalError('root certificate file "/s3ntinel" does not exist'),
        "a file that sslcert, sslkey or sslrootcert names can't be used",
        True,
    ),
    "not migrated file": (OperationalError("no such table: x"), "run manage.py migrate first", True),
}


@pytest.mark.parametrize(("error", "words", "passes"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_told_and_judged(error: DatabaseError, words: str, passes: bool) -> None:
    sentence = database_sentence(error)
    assert words in sentence and "s3ntinel" not in sentence
    assert may_pass(error) is passes
    assert is_outage(error)
    assert takes_no_writes(error) is ("takes no writes" in sentence)


@pytest.mark.parametrize("kind", [IntegrityError, DataError, ProgrammingError, ValueError])
def test_what_is_wrong_with_a_statement_is_no_outage(kind: type[Exception]) -> None:
    assert not is_outage(kind("NOT NULL constraint failed"))
