"""Writing health at the revision that was read, many rows in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from django.db import connection
from django.db.models import CharField, Field

from instances.checks.last_seen import SEEN_FIELDS
from instances.models import Health
from instances.models.health import STATE_FIELDS

WRITTEN = STATE_FIELDS + SEEN_FIELDS
_JSON = msgspec.json.Encoder()
COLUMNS = {column.name: column for column in Health._meta.concrete_fields}


def compare_and_swap(rows: list[tuple[Any, ...]], written: tuple[str, ...] = WRITTEN) -> set[int]:
    """One UPDATE for many instances: (instance_id, revision read, *written) per row.

    Only rows still at the revision read are written. Returns the ids of those.
    """
    if not rows:
        return set()
    columns = [COLUMNS[name] for name in ("instance", "revision", *written)]
    source, params = _table(columns, rows)
    settings_sql = ", ".join(f"{name} = v.column{place}" for place, name in enumerate(written, start=3))
    sql = (
        f"UPDATE instances_health SET revision = revision + 1, {settings_sql} "  # noqa: S608
        f"FROM {source} WHERE instance_id = v.column1 AND revision = v.column2 RETURNING instance_id"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {row[0] for row in cursor.fetchall()}


def _table(columns: list[Field[Any, Any]], rows: list[tuple[Any, ...]]) -> tuple[str, list[Any]]:
    """The rows as a table `v` of SQL, with its parameters.

    PostgreSQL gets one text for all: to write a parameter for each value takes seven times as long.
    """
    if connection.vendor == "postgresql":
        names = [f"column{place}" for place in range(1, len(columns) + 1)]
        said = zip(names, columns, strict=True)
        types = ", ".join(f"{name} {column.db_type(connection)}" for name, column in said)
        values = (_prepared(*column) for column in zip(columns, zip(*rows, strict=True), strict=True))
        text = _JSON.encode([dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)])
        return f"json_to_recordset(%s) AS v({types})", [text.decode()]
    row_sql = "(" + ", ".join(["%s"] * len(columns)) + ")"
    cells = (
        column.get_db_prep_save(value, connection=connection)
        for row in rows
        for column, value in zip(columns, row, strict=True)
    )
    return f"(VALUES {', '.join([row_sql] * len(rows))}) AS v", list(cells)


def _prepared(column: Field[Any, Any], values: Sequence[Any]) -> Iterable[Any]:
    """Values as PostgreSQL takes them: numbers, times and keys as they are, texts made storable."""
    return map(column.get_prep_value, values) if isinstance(column, CharField) else values
