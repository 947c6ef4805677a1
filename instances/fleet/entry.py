"""What the entries of a fleet file have in common. Pure."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
LEAST_MEMORY = 6 * 1024**2  # the engine refuses less


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def columns(self) -> dict[str, Any]:
        """What the entry says, by the names of the row's columns; what it leaves out is not in it."""
        return self.model_dump(exclude_unset=True)


def shown(part: int | str) -> str:
    """A key as it may be shown: a secret that was typed as a key must not reach a log."""
    return str(part) if re.fullmatch(r"\w{1,40}", str(part), re.ASCII) else "a key"
