"""What a failing database means to the caller."""

from __future__ import annotations

import re

from django.db import Error as DatabaseFailure
from django.db import InterfaceError, OperationalError

# Beginnings of SQLSTATE: the line was cut, the server stops, is full or takes no
# writes, others were in the way.
PASSING = ("08", "57P", "53", "40001", "40P01", "55P03", "25P03", "25006")
READ_ONLY, DISK_FULL = "25006", "53100"
BUSY = ("40001", "40P01", "55P03")
# What a PostgreSQL says that lets nobody in, and what that means; psycopg knows no state of these.
REFUSALS = {
    "password authentication failed": "its user name or password is wrong",
    "no pg_hba.conf entry": "it does not let us in from here (pg_hba.conf)",
    "too many clients": "it has as many sessions as it takes (max_connections)",
    "remaining connection slots": "it has as many sessions as it takes (max_connections)",
    "system is starting up": "it is starting up",
    "system is shutting down": "it is shutting down",
}
_NO_DATABASE = re.compile(r'FATAL: +(?:database|role) "[^"]*" does not exist')
OLD_SCHEMA = ("no such table", "no such column", "does not exist", "has no column")


def database_sentence(error: DatabaseFailure) -> str:
    """What a database error means to an operator."""
    refused = _refusal(str(error))
    if refused:
        return f"The database refuses: {refused} (DATABASE_URL)."
    if any(words in str(error) for words in OLD_SCHEMA):
        return "The database lacks tables of this version; run manage.py migrate first."
    if _state(error) == READ_ONLY or "readonly database" in str(error):
        return "The database takes no writes: it is read-only (DATABASE_URL)."
    if _state(error) == DISK_FULL or "disk is full" in str(error):
        return "The database takes no writes: its disk is full (DATABASE_URL)."
    if _state(error) in BUSY or "database is locked" in str(error):
        return "The database was busy with changes of others for too long. Try again."
    return "The database can't be reached or refuses to work (DATABASE_URL)."


def _refusal(text: str) -> str:
    if _NO_DATABASE.search(text):
        return "it has no database or no user of that name"
    return next((reason for words, reason in REFUSALS.items() if words in text), "")


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


def _state(error: BaseException) -> str | None:
    state = getattr(error.__cause__, "sqlstate", None)
    return None if state is None else str(state)
