"""What Celery would log of messages, made harmless: bodies hold customers' secrets."""

from __future__ import annotations

import logging


class BodilessFilter(logging.Filter):
    """For the logger that prints the whole body of every message it can't use."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            record.msg = "A message was dropped: its task is unknown here, or it is not of our form."
            record.args, record.exc_info, record.exc_text = (), None, None
        return True
