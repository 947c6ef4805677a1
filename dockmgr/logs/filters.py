"""What Celery would log of messages, made harmless: bodies hold customers' secrets."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from instances.lib.causes import causes

DROPPED = "A message was dropped"
CONNECTIONS = (
    "consumer: Cannot connect to",
    "consumer: Connection to broker lost",
    "beat: Connection error",
    "beat pidbox: Connection error",
    "Message Error",  # what beat could not send
    "Couldn't ack",
    "Couldn't reject",
)
# A warning with a traceback in its text; what is no lost connection is a defect, and stays as it is.
OUTSIDE_BODY = re.compile(r"Exception raised outside body: [\w.:]*?(\w+Error)\b")
_LOST_BY_NAME = {"ConnectionError", "OperationalError", "TimeoutError"}
# Of a broker that refuses at once, whose reason stands beside; and of each connection anew.
NOTHING_NEW = ("Frequent restarts detected", "Skipping prefetch count reduction")
BACK = "Connected to"
ENDING = "Unrecoverable error"  # of a worker that meets a refusal while it starts
OF_A_SETTING = "worker_cancel_long_running_tasks_on_connection_loss"  # Celery warns at each outage; it is set
RESTARTING = "celery.bootsteps"  # where a part of the worker that ends badly is told of
REQUESTS, SUSPICIOUS, DEFECT = "django.request", "django.security.", 500
SAID_EVERY = 60.0  # seconds between two lines about a broker that stays away


class BrokerFilter(logging.Filter):
    """A broker that can't be reached or refuses is told with its own reason, and once a minute."""

    _said: tuple[str, float] = ("", 0.0)
    _back: logging.LogRecord | None = None  # what told of the connection since then

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(NOTHING_NEW) or OF_A_SETTING in _warned(record):
            return False
        if str(record.msg).startswith(BACK):
            BrokerFilter._back = BrokerFilter._back or record
            return BrokerFilter._back is record
        failed = _lost(record)
        if failed is None:
            return True
        from tasks.broker.reasons import broker_sentence

        sentence = broker_sentence(failed)
        now, (last, at) = self._monotonic(), BrokerFilter._said
        is_ending = str(record.msg).startswith(ENDING)
        if not is_ending and sentence == last and now - at < SAID_EVERY:
            return False
        BrokerFilter._said, BrokerFilter._back = (sentence, now), None
        record.msg, record.args = f"{sentence} {'The worker ends.' if is_ending else 'Trying again.'}", ()
        record.exc_info = record.exc_text = None
        return True


def _lost(record: logging.LogRecord) -> BaseException | None:
    """What a record tells of a broker that is lost; None where it tells of something else."""
    from tasks.broker.reasons import LOST_BROKER  # needs kombu and Redis, which are slow to load

    args = record.args if isinstance(record.args, tuple) else ()
    carried = record.exc_info[1] if record.exc_info else None
    if isinstance(carried, LOST_BROKER):  # of a task's own code it would be another error by now
        return carried
    if record.name == "py.warnings":
        return _raised_outside(_warned(record))
    if record.name == RESTARTING:  # it trips over the connection that is gone
        return next((cause for cause in causes(carried) if isinstance(cause, LOST_BROKER)), None)
    # Celery says of a lost connection "%s (%r)", with its sentence as an argument.
    if str(record.msg).startswith(CONNECTIONS) or str(next(iter(args), "")).startswith(CONNECTIONS):
        return next((arg for arg in args if isinstance(arg, BaseException)), ConnectionError())
    return None


def _warned(record: logging.LogRecord) -> str:
    """The text of a warning, empty for any other record."""
    return record.getMessage() if record.name == "py.warnings" else ""


def _raised_outside(warning: str) -> BaseException | None:
    """The refusal or the lost connection that a warning tells of by its name."""
    found = OUTSIDE_BODY.search(warning)
    if found is None:
        return None
    from tasks.broker.reasons import OF_KINDS

    refusal = next((kind for kind, _ in OF_KINDS if kind.__name__ == found[1]), None)
    if refusal is not None:
        return refusal()
    return ConnectionError() if found[1] in _LOST_BY_NAME else None


class BriefFilter(logging.Filter):
    """For a logger whose errors are outages: the line without its long traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = record.exc_text = None
        return True


class RefusalFilter(logging.Filter):
    """A request that is refused is a line, because anybody may send one, and so is one during an outage.

    A defect keeps its traceback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", DEFECT)
        if (record.name == REQUESTS and status != DEFECT) or record.name.startswith(SUSPICIOUS):
            record.exc_info = record.exc_text = None
        return True


class BodilessFilter(logging.Filter):
    """For the logger that prints the whole body of every message it can't use."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Logging may be configured twice, which puts this filter on the logger twice.
        if record.levelno >= logging.ERROR and not str(record.msg).startswith((DROPPED, "The broker ")):
            record.msg = _sentence(record.args[0] if isinstance(record.args, tuple) and record.args else None)
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


def _sentence(first: object) -> str:
    """Celery's first argument is the KeyError of the look-up when it is the task that is unknown."""
    if isinstance(first, KeyError):
        return f"{DROPPED}: there is no task {first} here."
    return f"{DROPPED}: it is not of our form."
