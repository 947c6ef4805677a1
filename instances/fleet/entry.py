"""What the entries of a fleet file have in common. Pure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from instances.lib import storable

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
LONGEST = 255  # characters of an address, or of a registry's name, that a row has room for
NUMBERS = (int, float, int | None, float | None)  # that a truth value would be 1 of
LEAST_MEMORY = 6 * 1024**2  # the engine refuses less


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def columns(self) -> dict[str, Any]:
        """What the entry says, by the names of the row's columns; what it leaves out is not in it."""
        return self.model_dump(exclude_unset=True)


class Entry(Section):
    """One host, registry, plan or channel: nothing of it is cut or written in another way in its row."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_it_is(cls, value: object, info: ValidationInfo) -> object:
        if not storable.is_storable(value):
            raise ValueError("must have no zero bytes, and no halves of characters")
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation in NUMBERS:
            raise ValueError("must be a number")
        return value


def shown(part: int | str) -> str:
    """A key as it may be shown: a secret that was typed as a key must not reach a log."""
    return str(part) if re.fullmatch(r"\w{1,40}", str(part), re.ASCII) else "a key"
