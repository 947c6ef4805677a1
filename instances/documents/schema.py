"""How a shape says more of a text than its type does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Schema:
    """What the OpenAPI says of a text beyond being one; pydantic finds it without being imported here."""

    def __init__(self, **says: object) -> None:
        self._says = says

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core_schema), **self._says}


def one_of(choices: Iterable[tuple[str, object]]) -> Schema:
    """One of the choices of a model's column."""
    return Schema(enum=[value for value, _ in choices])
