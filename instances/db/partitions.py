"""Partitions by day of a table on PostgreSQL: made ahead of time, dropped as a whole.

A row whose day has no partition goes into the table's default one, so inserting never fails. A day of
which the default one has rows gets none of its own any more; those rows are deleted when they are old.
Making and dropping a partition locks the table for a moment. Nobody waits long for that: it is given up
after `LOCK_TIMEOUT` and tried again with the next call.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time

from django.db import DatabaseError, connection, transaction

from instances.lib.calendar import DAY

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "500ms"
DAYS_AHEAD = 7
MOST_COUNTED = 100_000  # rows
FORESTALLED = {  # what is tried again, or was done by another process meanwhile
    "55P03",  # lock_not_available
    "40P01",  # deadlock_detected
    "42P07",  # duplicate_table
    "23505",  # unique_violation: the same, a moment sooner
    "42P01",  # undefined_table
    "23514",  # check_violation: a row of that day has come into the default partition
}
NO_RIGHT = "42501"  # insufficient_privilege: another role owns the partition


def is_partitioned() -> bool:
    """Whether the database has partitions; SQLite deletes old rows instead."""
    return connection.vendor == "postgresql"


def name_of(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def day_of(table: str, name: str) -> date | None:
    """The day of a partition by its name; None for the default one."""
    found = re.fullmatch(rf"{re.escape(table)}_(\d{{4}})(\d\d)(\d\d)", name)
    return date(*map(int, found.groups())) if found else None


def wanted(today: date) -> list[date]:
    """The days for which there should be partitions by now."""
    return [today + number * DAY for number in range(DAYS_AHEAD + 1)]


def beginning(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def days(table: str) -> list[date]:
    """Days that have a partition, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass",
            [table],
        )
        names = [row[0] for row in cursor.fetchall()]
    return sorted(day for day in (day_of(table, name) for name in names) if day)


def make(table: str, wished: Iterable[date]) -> list[date]:
    """Make the partitions that are missing, where that is possible now; returns the days of new ones."""
    there = set(days(table))
    return [day for day in sorted(set(wished) - there) if _made(table, day)]


def _made(table: str, day: date) -> bool:
    name, bounds = name_of(table, day), [beginning(day), beginning(day + DAY)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {table}_default WHERE checked_at >= %s AND checked_at < %s)",  # noqa: S608
            bounds,
        )
        if cursor.fetchone()[0]:
            return False
    with _briefly(f"The partition {name} could not be made now") as done:
        with connection.cursor() as cursor:
            # Made apart and then attached: so the table itself is not locked against reading or writing.
            cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            cursor.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)", bounds
            )
        done.append(day)
    return bool(done)


def drop(table: str, day: date) -> int | None:
    """Drop a day with all its rows; returns about how many, None where that is not possible now."""
    name, rows = name_of(table, day), 0
    with _briefly(f"The partition {name} could not be dropped now") as done:
        rows = _about(name)
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {name}")
        done.append(day)
    return rows if done else None


def _about(name: str) -> int:
    """How many rows a table has by the server's own estimate, which it makes where there are many."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [name])
        estimate = int((cursor.fetchone() or [0])[0])
        if estimate < 0:
            cursor.execute(f"SELECT count(*) FROM (SELECT FROM {name} LIMIT {MOST_COUNTED}) rows")  # noqa: S608
            estimate = int(cursor.fetchone()[0])
    return estimate


def delete_from_default(table: str, before: datetime, most: int) -> int:
    """Delete old rows of the default partition, at most so many; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table}_default WHERE ctid = ANY (ARRAY("  # noqa: S608
            f" SELECT ctid FROM {table}_default WHERE checked_at < %s LIMIT %s))",
            [before, most],
        )
        return int(cursor.rowcount)


@contextmanager
def _briefly(otherwise: str) -> Iterator[list[date]]:
    """A transaction that waits for locks only a moment; what it does is done as a whole or not at all."""
    done: list[date] = []
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            yield done
    except DatabaseError as error:
        state = getattr(error.__cause__, "sqlstate", None)
        if state not in FORESTALLED and state != NO_RIGHT:
            raise
        done.clear()
        level = logging.ERROR if state == NO_RIGHT else logging.INFO
        logger.log(level, "%s: %s", otherwise, type(error.__cause__).__name__)
