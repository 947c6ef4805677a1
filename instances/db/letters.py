"""Which letters a database can hold: all, or a server would refuse what customers' programs write."""

from __future__ import annotations

from django.db import connection

WANTED = "UTF8"
MADE_NEW = f"createdb --template template0 --encoding {WANTED} --owner dockmgr dockmgr"


def narrow_encoding() -> str:
    """The encoding of a PostgreSQL database that can't hold every letter; empty where it can."""
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        found = str(cursor.fetchone()[0])
    return "" if found == WANTED else found


def encoding_sentence(encoding: str) -> str:
    """What is wrong with an encoding, and how the database is made anew."""
    return (
        f"The database has the encoding {encoding} and can't hold every letter: it must be {WANTED} "
        f"(DATABASE_URL). Make it anew, such as with: {MADE_NEW}"
    )
