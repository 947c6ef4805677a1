"""What a plan wants to be told of from its containers' logs: the `log_alerts` of the fleet file. Pure.

Patterns are RE2's, which read each line once, whatever is in it: a customer's program writes the lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from instances.lib import durations

MOST_ALERTS = 10
LONGEST_PATTERN = 200
LARGEST_PROGRAM = 2000  # steps for each byte of a line in the worst case
MOST_MATCHES = 1000
SHORTEST, LONGEST = 10, 86_400  # seconds in which lines are counted


class Pattern(Protocol):
    """Finds out whether a line of UTF-8 has what is looked for."""

    def search(self, line: bytes) -> object | None: ...


def compiled(pattern: str) -> Pattern:
    """Raises ValueError for what RE2 does not take, in words that follow a key's name."""
    import re2  # only where a plan has patterns: 2.5 MB of every process

    options = re2.Options()
    options.log_errors, options.never_capture, options.max_mem = False, True, 1024**2
    try:
        found = re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        raise ValueError(f"is no pattern that RE2 takes: {_why(error)}") from None
    if found.programsize > LARGEST_PROGRAM:
        raise ValueError("is too large a pattern: repeat less")
    if found.search(b""):
        raise ValueError("must not be a pattern that the empty line has: every line has it")
    return cast(Pattern, found)


def _why(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else "it holds no text"
    return text.partition(":")[0] or "it can't be read"


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > LONGEST_PATTERN or not value.isprintable():
        raise ValueError(f"must be a pattern of at most {LONGEST_PATTERN} printable characters")
    compiled(value)
    return value


def _seconds(value: object) -> int:
    given = durations.length(value)
    seconds = value if type(value) is int else int(given.total_seconds()) if given else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError("must be a time from 10s to 1d, such as 10m")
    return seconds


class LogAlert(BaseModel):
    """Told when more than `more_than` lines within `within` seconds have what `match` looks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    match: Annotated[str, BeforeValidator(_pattern)]
    more_than: int = Field(default=0, ge=0, le=MOST_MATCHES, strict=True)
    within: Annotated[int, BeforeValidator(_seconds)] = 600
    level: Literal["warning", "critical"] = "warning"

    @property
    def key(self) -> str:
        """What it is known by beside others of its plan: another pattern is another alert."""
        return hashlib.sha256(self.match.encode()).hexdigest()[:12]

    @property
    def pattern(self) -> Pattern:
        return compiled(self.match)


def documents(alerts: Sequence[LogAlert]) -> list[dict[str, Any]]:
    """As a plan keeps them."""
    return [alert.model_dump() for alert in alerts]


def conflict(alerts: Sequence[Any], driver: str) -> str:
    """Why logs can't be followed so, as words that follow a plan's name; else nothing."""
    return "log_alerts need a log, and logging has the driver none" if alerts and driver == "none" else ""
