"""Messages that can't be used are logged without their bodies."""

from __future__ import annotations

import logging

from dockmgr.logs.filters import BodilessFilter

SENTINEL = "s3ntinel-body"


def logged(level: int, message: str, *args: object) -> str:
    record = logging.LogRecord("celery", level, "consumer.py", 1, message, args, None)
    assert BodilessFilter().filter(record) and BodilessFilter().filter(record)
    return record.getMessage()


def test_an_unknown_task_is_named_and_its_body_is_not_shown() -> None:
    text = logged(logging.ERROR, "Unregistered task %s, body %s", KeyError("dockmgr.provisoin"), SENTINEL)
    assert text == "A message was dropped: there is no task 'dockmgr.provisoin' here."


def test_a_message_of_another_form_is_dropped_in_one_sentence() -> None:
    assert SENTINEL not in logged(logging.CRITICAL, "Can't decode %r", SENTINEL)
    assert SENTINEL not in logged(logging.ERROR, "no arguments")


def test_what_is_no_error_passes_unchanged() -> None:
    assert logged(logging.INFO, "Connected to %s", "the broker") == "Connected to the broker"
