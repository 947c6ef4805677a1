"""What a failing database means to the caller."""

from __future__ import annotations

from django.db import Error as DatabaseFailure

OLD_SCHEMA = ("no such table", "no such column", "does not exist", "has no column")


def database_sentence(error: DatabaseFailure) -> str:
    """What a database error means to an operator."""
    if any(words in str(error) for words in OLD_SCHEMA):
        return "The database lacks tables of this version; run manage.py migrate first."
    return "The database can't be reached or refuses to work (DATABASE_URL)."
