"""Keys among many, as one parameter of a statement: with one for each, Django, psycopg and PostgreSQL each take
longer to read the numbers than to find the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, F
from django.db.models.lookups import Lookup


class Among(Lookup):  # type: ignore[type-arg]
    """Whether a whole number is one of a list."""

    lookup_name = "among"
    prepare_rhs = False
    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        lhs, params = self.process_lhs(compiler, connection)
        if connection.vendor == "postgresql":
            return f"{lhs} = ANY(%s::bigint[])", [*params, self.rhs]
        return f"{lhs} IN (SELECT value FROM json_each(%s))", [*params, json.dumps(self.rhs)]


def among(name: str, keys: Iterable[int]) -> Among:
    """For `filter`: rows whose column is one of these, like `name__in`."""
    return Among(F(name), list(keys))
