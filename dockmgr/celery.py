"""The Celery application: `celery -A dockmgr worker|beat`."""

from __future__ import annotations

import importlib
import logging
import logging.config
import os
import sys
from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.signals import beat_init, setup_logging, worker_ready, worker_shutdown
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from instances.clock import SYSTEM
from instances.errors import TransientError
from instances.policies import POLICIES, wait_before_next

logger = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dockmgr.settings")
try:
    importlib.import_module("dockmgr.settings")  # a bad value stops the start here, in one sentence
except ImproperlyConfigured as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)

app = Celery("dockmgr")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.loader.override_backends = dict.fromkeys(("redis", "rediss"), "dockmgr.results:LookedUpResults")


class PolicyTask(Task):  # type: ignore[type-arg]  # takes no parameters when it runs
    """A task that is tried again within one call, as its policy says, while what failed may pass.

    Raises the last TransientError when the tries are used up, and any other error at once.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        retry, tries = POLICIES[self.name].retry, 0
        while True:
            try:
                return self.run(*args, **kwargs)
            except TransientError as error:
                tries += 1
                wait = wait_before_next(retry, tries)
                if wait is None:
                    raise
                logger.warning("%s Trying again in %.0f s.", error, wait)
            SYSTEM.sleep(wait)


def task(name: str, **options: Any) -> Callable[[Callable[..., Any]], Task[..., Any]]:
    """Register a task under its public name with its policy."""
    register: Callable[[Callable[..., Any]], Task[..., Any]] = app.task(
        name=name, base=PolicyTask, **POLICIES[name].options(), **options
    )
    return register


@setup_logging.connect
def use_django_logging(**_: Any) -> None:
    """Workers and beat log as the rest does, through the redacting filter."""
    logging.config.dictConfig(settings.LOGGING)


@beat_init.connect
def use_configured_interval(**_: Any) -> None:
    """A sweep interval changed in the environment takes effect when beat starts."""
    from tasks.schedule import apply_environment

    apply_environment()


@worker_ready.connect
def watch_beside_the_work(**_: Any) -> None:
    """Every worker watches and delivers, whatever its queues."""
    from tasks.watching import start_watching

    start_watching(engines=True)


@beat_init.connect
def watch_beside_the_clock(**_: Any) -> None:
    """Beat watches as well, so that somebody is left to tell when all workers are gone."""
    from tasks.watching import start_watching

    start_watching(engines=False)


@worker_shutdown.connect
def stop_watching_with_the_work(**_: Any) -> None:
    from tasks.watching import stop_watching

    stop_watching()
