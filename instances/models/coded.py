"""Words of a small set, kept as numbers: a row of a long history is as short as that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    Base = models.CharField[Any, Any]
else:
    Base = models.Field


UNKNOWN = "unknown"


class Coded(Base):
    """One of `words`; what is kept is its place among them, so words are added at the end and never moved.

    A word that is not among them is kept as `otherwise`. Without that it is refused with ValueError. A number
    that stands for none of them, as a newer release may have written, reads as `otherwise`, or as "unknown".
    """

    words: tuple[str, ...] = ()
    otherwise: str | None = None

    def __init__(
        self, *args: Any, words: Sequence[str] = (), otherwise: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.words, self.otherwise = tuple(str(word) for word in words), otherwise

    def get_internal_type(self) -> str:
        return "SmallIntegerField"

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """In migrations the column is Django's own."""
        name, _path, args, kwargs = super().deconstruct()
        kwargs.pop("default", None)
        return name, "django.db.models.SmallIntegerField", args, kwargs

    def from_db_value(self, value: int | None, *_: Any) -> str | None:
        if value is None:
            return None
        return self.words[value] if 0 <= value < len(self.words) else self.otherwise or UNKNOWN

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, int):
            return value
        if value not in self.words and self.otherwise is not None:
            value = self.otherwise
        return self.words.index(str(value))
