"""Messages that can't be used are logged without their bodies."""

from __future__ import annotations

import logging
import time

import pytest
import redis
from kombu.exceptions import OperationalError
from redis.exceptions import AuthenticationError

from dockmgr.logs.filters import SAID_EVERY, BodilessFilter, BriefFilter, BrokerFilter, RefusalFilter
from tasks.broker.reasons import OUT_OF_REACH, broker_sentence

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


def test_a_broker_that_refuses_is_told_with_its_reason_and_once_a_minute() -> None:
    moments = iter((1000.0, 1001.0, 1001.0 + SAID_EVERY, 1002.0 + SAID_EVERY))
    once, failed = BrokerFilter(lambda: next(moments)), AuthenticationError("WRONGPASS")
    said = []
    for form, words in (
        ("consumer: Cannot connect to %s: %s.\n%s\n", (f"redis://{SENTINEL}", failed, "again")),
        ("beat: Connection error: %s. Trying again in %s seconds...", (failed, 2)),
        ("beat: Connection error: %s. Trying again in %s seconds...", (failed, 4)),
        (
            "%s (%r)",
            ("consumer: Connection to broker lost. Trying to re-establish the connection...", failed),
        ),
    ):
        record = logging.LogRecord("celery", logging.ERROR, "consumer.py", 1, form, words, None)
        if once.filter(record) and BodilessFilter().filter(record):
            said.append(record.getMessage())
    sentence = "The broker refuses: its user name or password is wrong (DOCKMGR_BROKER_URL). Trying again."
    assert said == [sentence, sentence]


def test_a_worker_that_ends_for_a_refusal_says_so_whatever_was_said_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = OperationalError(f"no permissions to access one of the channels, {SENTINEL}")
    sentence = broker_sentence(refused)
    assert "may use no channels" in sentence
    monkeypatch.setattr(BrokerFilter, "_said", (sentence, time.monotonic()))
    info = (OperationalError, refused, None)
    form = "Unrecoverable error: %r"
    record = logging.LogRecord("celery.worker", logging.CRITICAL, "x.py", 1, form, (refused,), info)
    assert BrokerFilter().filter(record)
    assert logging.Formatter().format(record) == f"{sentence} The worker ends."
    defect = logging.LogRecord("celery.worker", logging.CRITICAL, "x.py", 1, form, (KeyError("x"),), None)
    assert BrokerFilter().filter(defect) and "KeyError" in defect.getMessage()


def test_who_is_connected_anew_again_and_again_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BrokerFilter, "_said", ("", 0.0))
    monkeypatch.setattr(BrokerFilter, "_back", None)
    lost = ("%s (%r)", ("consumer: Connection to broker lost.", AuthenticationError("WRONGPASS")))
    said = []
    for form, words in (*[("Connected to %s", ("the broker",)), lost] * 3, ("Connected to %s", ("it",))):
        record = logging.LogRecord("celery", logging.INFO, "x.py", 1, form, words, None)
        passes = all(each.filter(record) for each in (BrokerFilter(), BrokerFilter()))
        said += [record.getMessage()[:12]] if passes else []
    assert said == ["Connected to", "The broker r", "Connected to"]


WARNING = (
    "trace.py:809: RuntimeWarning: Exception raised outside body: %s\nTraceback (most recent call last):"
)
LOST: dict[str, tuple[str, str, tuple[object, ...]]] = {
    "what beat could not send": ("celery.beat", "Message Error: %s\n%s", (ConnectionError(), ["a stack"])),
    "an acknowledgement": ("celery.worker.request", "Couldn't ack %r, reason:%r", ("1", ConnectionError())),
    "a task's result": ("celery.app.trace", "Task %(name)s raised unexpected", ({"name": "x"},)),
    "a task's end": ("py.warnings", WARNING % "network:ConnectionError: (Error 2),", ()),
}


def a_warning(text: str) -> logging.LogRecord:
    """As Python logs what it captures: the text is the form, and there are no arguments."""
    return logging.LogRecord("py.warnings", logging.WARNING, "warnings.py", 1, text, (), None)


def test_what_trips_over_a_lost_connection_is_that_connections_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tripped = AttributeError("'NoneType' object has no attribute 'connection_errors'")
    tripped.__context__ = redis.exceptions.ConnectionError("gone")
    info = (AttributeError, tripped, None)
    form, args = "Error on %s %s: %r", ("restarting", "Gossip", tripped)
    record = logging.LogRecord("celery.bootsteps", logging.ERROR, "x.py", 1, form, args, info)
    monkeypatch.setattr(BrokerFilter, "_said", ("", 0.0))
    assert BrokerFilter().filter(record)
    assert logging.Formatter().format(record) == f"{OUT_OF_REACH} Trying again."
    defect = KeyError("x")
    record = logging.LogRecord(
        "celery.bootsteps", logging.ERROR, "x.py", 1, form, args, (KeyError, defect, None)
    )
    assert BrokerFilter().filter(record) and record.exc_info


def test_a_refusal_that_a_warning_tells_of_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BrokerFilter, "_said", ("", 0.0))
    told = WARNING % "server:OutOfMemoryError: \n"
    record = a_warning(told)
    assert BrokerFilter().filter(record)
    assert "its memory is full (maxmemory)" in record.getMessage()
    other = a_warning(WARNING % "KeyError: 'x'")
    assert BrokerFilter().filter(other) and "KeyError" in other.getMessage()
    often = logging.LogRecord(
        "celery", logging.CRITICAL, "x.py", 1, "Frequent restarts detected: %r", ("x",), None
    )
    assert not BrokerFilter().filter(often)


def test_what_celery_says_of_its_own_default_at_each_outage_is_no_line() -> None:
    told = (
        "consumer.py:427: CPendingDeprecationWarning: \n"
        "In Celery 5.1 we introduced an optional breaking change. You can enable this behavior using the"
        " worker_cancel_long_running_tasks_on_connection_loss\nsetting.\n"
    )
    record = a_warning(told)
    assert not BrokerFilter().filter(record)


@pytest.mark.parametrize(("name", "form", "args"), LOST.values(), ids=LOST)
def test_what_a_lost_broker_interrupts_is_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, form: str, args: tuple[object, ...]
) -> None:
    failed = redis.exceptions.ConnectionError("gone")
    info = (type(failed), failed, failed.__traceback__)
    record = logging.LogRecord(name, logging.ERROR, "x.py", 1, form, args, info)
    monkeypatch.setattr(BrokerFilter, "_said", ("", 0.0))
    assert BrokerFilter().filter(record)
    assert logging.Formatter().format(record) == f"{OUT_OF_REACH} Trying again."


def test_a_defect_outside_a_task_keeps_its_traceback() -> None:
    record = a_warning(WARNING % "KeyError('x'):")
    assert BrokerFilter().filter(record) and "Traceback" in record.getMessage()


def test_an_outage_is_a_line_without_its_traceback() -> None:
    failed = OSError("gone")
    info = (OSError, failed, failed.__traceback__)
    record = logging.LogRecord("beat", logging.ERROR, "x.py", 1, "Database gave error: %r", (failed,), info)
    assert BriefFilter().filter(record)
    assert logging.Formatter().format(record) == "Database gave error: OSError('gone')"


REFUSALS = [
    ("django.request", 403, False),
    ("django.request", 503, False),
    ("django.request", 500, True),
    ("django.security.TooManyFieldsSent", 400, False),
    ("instances.api.middleware", None, True),
]


@pytest.mark.parametrize(("name", "status", "is_kept"), REFUSALS)
def test_a_refused_request_is_a_line_and_a_defect_has_its_traceback(
    name: str, status: int | None, is_kept: bool
) -> None:
    info = (PermissionError, PermissionError("no"), None)
    record = logging.LogRecord(name, logging.ERROR, "x.py", 1, "%s: %s", ("Refused", "/admin/"), info)
    if status:
        record.status_code = status
    assert RefusalFilter().filter(record)
    assert ("PermissionError" in logging.Formatter().format(record)) is is_kept
