"""Writing health at the revision that was read, many rows in one statement."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Field

from instances.checks.last_seen import SEEN_FIELDS
from instances.models import Health
from instances.models.health import STATE_FIELDS

WRITTEN = STATE_FIELDS + SEEN_FIELDS
COLUMNS = {column.name: column for column in Health._meta.concrete_fields}


def compare_and_swap(rows: list[tuple[Any, ...]], written: tuple[str, ...] = WRITTEN) -> set[int]:
    """One UPDATE for many instances: (instance_id, revision read, *written) per row.

    Only rows still at the revision read are written. Returns the ids of those.
    """
    if not rows:
        return set()
    columns = [COLUMNS[name] for name in ("instance", "revision", *written)]
    row_sql = "(" + ", ".join(f"%s{_cast(column)}" for column in columns) + ")"
    settings_sql = ", ".join(f"{name} = v.column{place}" for place, name in enumerate(written, start=3))
    sql = (
        f"UPDATE instances_health SET revision = revision + 1, {settings_sql} "  # noqa: S608
        f"FROM (VALUES {', '.join([row_sql] * len(rows))}) AS v "
        "WHERE instance_id = v.column1 AND revision = v.column2 RETURNING instance_id"
    )
    params = [
        column.get_db_prep_save(value, connection=connection)
        for row in rows
        for column, value in zip(columns, row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {row[0] for row in cursor.fetchall()}


def _cast(column: Field[Any, Any]) -> str:
    """PostgreSQL takes the literals of a VALUES list for text unless told otherwise."""
    return f"::{column.db_type(connection)}" if connection.vendor == "postgresql" else ""
