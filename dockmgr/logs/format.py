"""Log lines as JSON, one document each, for collectors that want fields."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from celery import current_task

from instances.lib import log_context

KNOWN = ("operation_id", "customer_id", "sweep_id", "task_id")


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `message`; then whatever of KNOWN is known, and `exception`, `stack`.

    Names come from the record (`extra=`), from `instances.lib.log_context`, or from the Celery task that
    runs on this thread. They are looked up here and nowhere else, so without JSON they cost nothing.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_names(record),
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        texts = {"exception": record.exc_text, "stack": record.stack_info}
        return json.dumps({**line, **{name: text for name, text in texts.items() if text}})


def _names(record: logging.LogRecord) -> dict[str, str]:
    request = getattr(current_task, "request", None)  # outside a task this stands for None
    task = {"task_id": request.id} if request is not None else {}
    found = {**task, **log_context.present(), **record.__dict__}
    return {name: str(found[name]) for name in KNOWN if found.get(name)}
