"""Pages by keyset: each begins after the last row of the one before, however long the table is."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Row = TypeVar("Row", bound=Model)
Rows = TypeVar("Rows", bound=QuerySet[Any])


def filtered(rows: Rows, **wanted: Any) -> Rows:
    """Those whose columns have the wanted values; None is any."""
    return rows.filter(**{column: value for column, value in wanted.items() if value is not None})


def newest_first(
    rows: QuerySet[Row], column: str, cursor: str | None, limit: int
) -> tuple[QuerySet[Row], str | None]:
    """The rows of a page by the time in `column`, the newest first, and the cursor of the next page."""
    rows = _after(rows, column, cursor)
    keys = list(rows.order_by(f"-{column}", "-pk").values_list(column, "pk")[: limit + 1])
    following = _cursor(*keys[limit - 1]) if len(keys) > limit else None
    page = rows.model._default_manager.filter(pk__in=[key for _, key in keys[:limit]])
    return page.order_by(f"-{column}", "-pk"), following


def newest_rows(
    rows: QuerySet[Row], column: str, cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """The same in one query, for tables whose rows are not found by their key."""
    found = list(_after(rows, column, cursor).order_by(f"-{column}", "-pk")[: limit + 1])
    page = found[:limit]
    following = _cursor(getattr(page[-1], column), page[-1].pk) if len(found) > limit else None
    return page, following


def _after(rows: QuerySet[Row], column: str, cursor: str | None) -> QuerySet[Row]:
    if cursor is None:
        return rows
    moment, key = _position(cursor)
    earlier = Q(**{f"{column}__lt": moment}) | Q(pk__lt=key)
    return rows.filter(earlier, **{f"{column}__lte": moment})


def by_name(rows: QuerySet[Row], column: str, cursor: str | None, limit: int) -> tuple[list[Row], str | None]:
    """The rows of a page by a unique name, and the last name if there are more."""
    if cursor is not None:
        rows = rows.filter(**{f"{column}__gt": cursor})
    found = list(rows.order_by(column)[: limit + 1])
    more = len(found) > limit
    return found[:limit], str(getattr(found[limit - 1], column)) if more else None


def _cursor(moment: datetime, key: Any) -> str:
    return f"{(moment - EPOCH) // MICROSECOND}.{key.hex if isinstance(key, uuid.UUID) else key}"


def _position(cursor: str) -> tuple[datetime, Any]:
    micros, _, key = cursor.partition(".")
    number: Any = uuid.UUID(key) if len(key) == 32 else int(key)
    return EPOCH + int(micros) * MICROSECOND, number
