"""What a failing database means to the caller."""

from __future__ import annotations

import re

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from django.db import Error as DatabaseFailure

from instances.lib.causes import way_lost

# Beginnings of SQLSTATE: the line was cut, the server stops, is full or takes no
# writes, others were in the way.
PASSING = ("08", "57P", "53", "40001", "40P01", "55P03", "25P03", "25006")
READ_ONLY, DISK_FULL = "25006", "53100"
TOO_LONG, NO_RIGHT, NO_LETTER, NO_SCHEMA = "57014", "42501", "22P05", "3F000"
MISSING = ("42P01", "42703")  # a table, a column
DUPLICATE = "23505"
BUSY = ("40001", "40P01", "55P03")
# What a PostgreSQL says that lets nobody in, and what that means; psycopg knows no state of these.
REFUSALS = {
    "password authentication failed": "its user name or password is wrong",
    "no pg_hba.conf entry": "it does not let us in from here (pg_hba.conf)",
    "too many clients": "it has as many sessions as it takes (max_connections)",
    "remaining connection slots": "it has as many sessions as it takes (max_connections)",
    "too many connections for": "it has as many sessions as the user or database may have (CONNECTION LIMIT)",
    "not currently accepting connections": "it takes no sessions for that database",
    "not permitted to log in": "its user may not log in",
    "permission denied": "the user may not do that there; its rights are too few",
    "system is starting up": "it is starting up",
    "not yet accepting connections": "it is starting up",
    "in recovery mode": "it is starting up after a crash",
    "system is shutting down": "it is shutting down",
    "does not support SSL": "it speaks no TLS, which sslmode asks for",
    "certificate verify failed": "its certificate is not trusted (sslrootcert)",
    "does not match host name": "its certificate is for another name",
    "certificate file": "a file that sslcert, sslkey or sslrootcert names can't be used",
    "private key file": "a file that sslcert, sslkey or sslrootcert names can't be used",
    "unsupported startup parameter": "it is a pooler, which takes no limits of a session; add ?pgbouncer=1",
    "invalid sslmode": "there is no sslmode of that name",
}
_NO_DATABASE = re.compile(r'FATAL: +(?:database|role) "[^"]*" does not exist')
# What is wrong with what is there.
NO_DATABASE = {
    "unable to open database file": "its file can't be opened",
    "file is not a database": "its file is no SQLite database",
    "disk image is malformed": "its file is damaged",
    "invalid response to SSL negotiation": "what listens there is no PostgreSQL",
}
# What is told by state, or by words where the server says none: the first that fits.
_TROUBLES = (
    (
        MISSING,
        re.compile(r"no such (?:table|column)|has no column|(?:relation|column) .* does not exist"),
        "The database lacks tables of this version; run manage.py migrate first.",
    ),
    (
        (READ_ONLY,),
        re.compile("readonly database"),
        "The database takes no writes: it is read-only (DATABASE_URL).",
    ),
    (
        (DISK_FULL,),
        re.compile("disk is full"),
        "The database takes no writes: its disk is full (DATABASE_URL).",
    ),
    (
        (),
        re.compile("disk I/O error"),
        "The database can't be used: its disk is full or broken (DATABASE_URL).",
    ),
    (
        (NO_LETTER,),
        None,
        "The database can't hold every letter: its encoding must be UTF8 (DATABASE_URL).",
    ),
    (
        BUSY,
        re.compile("database is locked"),
        "The database was busy with changes of others for too long. Try again.",
    ),
    (
        (TOO_LONG,),
        None,
        "The database was too slow: a statement took longer than it may (DOCKMGR_STATEMENT_TIMEOUT, "
        "or a shorter limit of the server's own). Try again.",
    ),
)
WRITES_REFUSED = re.compile("readonly database|disk is full")


class CountBehindError(OperationalError):
    """PostgreSQL numbers a table's new rows from below those it holds, so that each one is refused."""


def database_sentence(error: DatabaseFailure) -> str:
    """What a database error means to an operator."""
    if isinstance(error, CountBehindError):
        return (
            "The database numbers new rows from below those it holds, as after a restore of the rows alone; "
            "run manage.py migrate, which sets that right."
        )
    text, state = str(error), _state(error)
    if refused := _refusal(text, state):
        return f"The database refuses: {refused} (DATABASE_URL)."
    for states, words, told in _TROUBLES:
        if state in states or (words and words.search(text)):
            return told
    if known := _first(NO_DATABASE, text) or ("" if state else way_lost(text)):
        return f"The database can't be reached: {known} (DATABASE_URL)."
    return "The database can't be reached or refuses to work (DATABASE_URL)."


def _refusal(text: str, state: str | None) -> str:
    if state == NO_RIGHT:
        return REFUSALS["permission denied"]
    if state == NO_SCHEMA:
        return "it has no schema that its user may use (search_path)"
    if _NO_DATABASE.search(text):
        return "it has no database or no user of that name"
    return _first(REFUSALS, text)


def _first(reasons: dict[str, str], text: str) -> str:
    return next((reason for words, reason in reasons.items() if words in text), "")


def may_pass(error: BaseException) -> bool:
    """Whether a failure says nothing of what was to be written: the database was away, or others held it.

    A value that is refused, a broken constraint and a statement that took too long are not of this kind.
    """
    if isinstance(error, InterfaceError):
        return True
    state = _state(error)
    if state is None:  # the server said nothing, or it is SQLite
        return isinstance(error, OperationalError)
    return isinstance(error, DatabaseFailure) and state.startswith(PASSING)


def met_others(error: BaseException) -> bool:
    """Whether PostgreSQL undid a transaction because others held what it needed, or changed it meanwhile."""
    return _state(error) in BUSY


def is_duplicate(error: BaseException) -> bool:
    """Whether a row was refused because there is one like it, which others may just have made."""
    return _state(error) == DUPLICATE or "UNIQUE constraint failed" in str(error)


def takes_no_writes(error: DatabaseFailure) -> bool:
    """Whether the database can be read all the same: it is read-only, or its disk is full."""
    return _state(error) in (READ_ONLY, DISK_FULL) or bool(WRITES_REFUSED.search(str(error)))


def is_outage(error: BaseException) -> bool:
    """Whether a failure is a state of the database, which `database_sentence` names, and no defect."""
    if not isinstance(error, IntegrityError | DataError | ProgrammingError):
        return isinstance(error, DatabaseFailure)
    return (_state(error) or "") in (NO_RIGHT, NO_SCHEMA, *MISSING)


def _state(error: BaseException) -> str | None:
    state = getattr(error.__cause__, "sqlstate", None)
    return None if state is None else str(state)
