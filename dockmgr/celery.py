"""`celery -A dockmgr worker|beat`: the application, and what begins and ends with its processes."""

from __future__ import annotations

import gc
import importlib
import logging.config
import os
import sys
from typing import Any

from celery.signals import beat_init, setup_logging, worker_init, worker_ready, worker_shutdown
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
# Django's checks load the desk and the API, 23 MB that no worker needs; commands and the web make them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
try:
    importlib.import_module("dockmgr.settings")  # a bad value stops the start here, in one sentence
except ImproperlyConfigured as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)

from tasks.app import app

__all__ = ["app"]

GARBAGE = (10_000, 20, 20)  # thresholds of Python's collector


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Workers and beat log as the rest does, through the redacting filter."""
    logging.config.dictConfig(settings.LOGGING)


@worker_init.connect
@beat_init.connect
def refuse_wrong_keys(**_: Any) -> None:
    """With another database's keys nothing could be looked at, and no alarm sent: the process ends."""
    from dockmgr.start import wrong_keys

    if sentence := wrong_keys():
        sys.stderr.write(f"{sentence}\n")
        sys.exit(2)


@worker_ready.connect
@beat_init.connect
def tell_of_what_is_unwise(**_: Any) -> None:
    from dockmgr.start import warn_of_evictions, warn_of_weak_key

    warn_of_weak_key()
    warn_of_evictions()


@worker_ready.connect
def watch_beside_the_work(sender: Any = None, **_: Any) -> None:
    """Every worker watches, delivers and does the clockwork, whatever its queues."""
    from tasks.background import start_background
    from tasks.capacity import THREADS

    THREADS.use(getattr(getattr(sender, "pool", None), "limit", None))
    start_background(engines=True, queues=lambda: _served_by(sender))


@worker_ready.connect
def look_for_garbage_less_often(**_: Any) -> None:
    """What is loaded by now stays, and checks make many objects and keep few."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def _served_by(consumer: Any) -> list[str]:
    """The queues the worker takes messages from; none while it has lost the broker."""
    taking = getattr(consumer, "task_consumer", None)
    return [str(queue.name) for queue in taking.queues] if taking else []


@beat_init.connect
def watch_beside_the_clock(**_: Any) -> None:
    """Beat watches as well, so that somebody is left to tell when all workers are gone."""
    from tasks.background import start_background

    start_background(engines=False)


@worker_shutdown.connect
def stop_watching_with_the_work(**_: Any) -> None:
    from tasks.background import stop_background

    stop_background()
