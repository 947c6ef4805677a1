"""An outage in words, and once: what many turns or messages meet is one line until something works again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError

from instances.db.errors import database_sentence, is_outage, may_pass
from instances.errors import OutOfReachError
from tasks.broker.reasons import LOST_BROKER, broker_sentence


def in_words(error: Exception) -> str:
    """The sentence of an outage; a defect by its kind and the first line of its text."""
    if isinstance(error, DatabaseError) and (may_pass(error) or is_outage(error)):
        return database_sentence(error)
    if isinstance(error, LOST_BROKER):
        return broker_sentence(error)
    if isinstance(error, OutOfReachError):
        return str(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _at_once(_error: Exception) -> bool:
    return True


@dataclass
class SaidOnce:
    """What was said last of something that fails again and again.

    `is_over` tells whether what failed works again, for work that does not try it each time.
    """

    logger: logging.Logger
    is_over: Callable[[Exception], bool] = _at_once
    said: str = ""
    met: Exception | None = None

    def failed(self, what: str, error: Exception) -> None:
        """Log it, unless that was the last thing said."""
        text = in_words(error)
        if text != self.said:
            self.logger.error("%s failed: %s", what, text)
        self.said, self.met = text, error

    def worked(self) -> None:
        """Say the next failure again, unless the last one goes on where nobody tried."""
        if self.met is not None and self.is_over(self.met):
            self.said, self.met = "", None
