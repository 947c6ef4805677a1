"""How PostgreSQL numbers new rows: whether that lags behind the rows, and setting it right."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.db import connection, models
from django.db.migrations.recorder import MigrationRecorder
from psycopg.errors import UniqueViolation
from psycopg.sql import SQL, Identifier

CATCH_UP = SQL("""
SELECT setval(given, highest)
  FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS given, max({column}) AS highest
          FROM {table}) AS rows
 WHERE highest > coalesce(pg_sequence_last_value(given), 0)
""")


def is_behind(refused: UniqueViolation) -> bool:
    """Whether a row was refused for the number that the server itself had given it."""
    table, constraint = refused.diag.table_name, refused.diag.constraint_name
    return constraint == f"{table}_pkey" and any(table == name for name, _ in _numbered())


def catch_up() -> list[str]:
    """Have new rows numbered from above all there are; the names of the tables where that lagged behind."""
    if connection.vendor != "postgresql":
        return []
    there = connection.introspection.table_names()
    return [table for table, column in _numbered() if table in there and _has_caught_up(table, column)]


def _numbered() -> Iterator[tuple[str, str]]:
    """Tables whose rows the server numbers, and the column."""
    own: type[models.Model] = MigrationRecorder.Migration
    for model in [*apps.get_models(include_auto_created=True), own]:
        key = model._meta.pk
        if isinstance(key, models.AutoField):
            yield model._meta.db_table, str(key.column)


def _has_caught_up(table: str, column: str) -> bool:
    names = {"table": Identifier(table), "column": Identifier(column)}
    with connection.cursor() as cursor:
        cursor.execute(CATCH_UP.format(**names), [connection.ops.quote_name(table), column])
        return any(number for (number,) in cursor.fetchall())
