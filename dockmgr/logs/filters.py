"""What Celery would log of messages, made harmless: bodies hold customers' secrets."""

from __future__ import annotations

import logging

DROPPED = "A message was dropped"


class BodilessFilter(logging.Filter):
    """For the logger that prints the whole body of every message it can't use."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Logging may be configured twice, which puts this filter on the logger twice.
        if record.levelno >= logging.ERROR and not str(record.msg).startswith(DROPPED):
            record.msg = _sentence(record.args[0] if isinstance(record.args, tuple) and record.args else None)
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


def _sentence(first: object) -> str:
    """Celery's first argument is the KeyError of the look-up when it is the task that is unknown."""
    if isinstance(first, KeyError):
        return f"{DROPPED}: there is no task {first} here."
    return f"{DROPPED}: it is not of our form."
