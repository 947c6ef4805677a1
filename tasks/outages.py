"""An outage in words, and once: what many turns or messages meet is one line until something works again."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import DatabaseError

from instances.db.errors import database_sentence, may_pass
from instances.errors import OutOfReachError
from tasks.broker.reasons import LOST_BROKER, broker_sentence


def in_words(error: Exception) -> str:
    """The sentence of an outage; a defect by its kind and the first line of its text."""
    if isinstance(error, DatabaseError) and may_pass(error):
        return database_sentence(error)
    if isinstance(error, LOST_BROKER):
        return broker_sentence(error)
    if isinstance(error, OutOfReachError):
        return str(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


@dataclass
class SaidOnce:
    """What was said last of something that fails again and again."""

    logger: logging.Logger
    said: str = ""

    def failed(self, what: str, error: Exception) -> None:
        """Log it, unless that was the last thing said."""
        text = in_words(error)
        if text != self.said:
            self.logger.error("%s failed: %s", what, text)
        self.said = text

    def worked(self) -> None:
        self.said = ""
