"""Keys among many as one parameter: one for each takes longer to read than the rows to find."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import BooleanField, F
from django.db.models.lookups import Lookup


class Among(Lookup):
    """Whether a whole number is one of a list."""

    lookup_name = "among"
    prepare_rhs = False
    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        lhs, params = self.process_lhs(compiler, connection)
        if connection.vendor == "postgresql":
            return f"{lhs} = ANY(%s::bigint[])", [*params, _array(self.rhs)]
        return f"{lhs} IN (SELECT value FROM json_each(%s))", [*params, json.dumps(self.rhs)]  # noqa: S608


def _array(keys: list[int]) -> str:
    """As PostgreSQL writes it: adapted one by one, the numbers take longer than their rows."""
    return "{" + ",".join(map(str, keys)) + "}"


def among(name: str, keys: Iterable[int]) -> Among:
    """For `filter`: rows whose column is one of these, like `name__in`."""
    return Among(F(name), list(keys))
