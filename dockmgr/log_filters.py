"""What Celery would log of messages, made harmless: bodies hold customers' secrets."""

from __future__ import annotations

import logging


class BodilessFilter(logging.Filter):
    """For the logger that prints the whole body of every message it can't use."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            record.msg = _sentence(record.args[0] if isinstance(record.args, tuple) and record.args else None)
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


def _sentence(first: object) -> str:
    """Celery's first argument is the KeyError of the look-up when it is the task that is unknown."""
    if isinstance(first, KeyError):
        return f"A message was dropped: there is no task {first} here."
    return "A message was dropped: it is not of our form."
