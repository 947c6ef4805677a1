"""The Celery application, and the decorator that gives a task its public name and its policy."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.app import utils
from django.db import Error as DatabaseFailure
from kombu.transport import TRANSPORT_ALIASES

from instances.db.clock import SYSTEM
from instances.db.errors import database_sentence, may_pass
from instances.errors import OutOfReachError, TransientError
from instances.lib.backoff import wait_before_next
from tasks.arguments import fitting
from tasks.broker.foreign import HEADER, drop_if_foreign, signed
from tasks.broker.reasons import LOST_BROKER, broker_sentence
from tasks.policies import POLICIES

logger = logging.getLogger(__name__)

# kombu looks its transports up here, by the scheme of a URL.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "tasks.broker.transport:Transport"))

# What `celery report` and `inspect conf` hide of the settings; Celery knows the broker's by another name.
hidden: Any = utils
hidden.HIDDEN_SETTINGS = re.compile(
    f"{hidden.HIDDEN_SETTINGS.pattern}|BROKER_URL|HEARTBEAT_URL", re.IGNORECASE
)

app = Celery("dockmgr")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.loader.override_backends = dict.fromkeys(("redis", "rediss"), "dockmgr.results:LookedUpResults")


class PolicyTask(Task):  # type: ignore[type-arg]  # takes no parameters when it runs
    """A task that is tried again within one call, as its policy says, while what failed may pass.

    Raises the last TransientError when the tries are used up, and any other error at once; RequestError
    for arguments the task does not take. A database
    or broker that is away is OutOfReachError: an outage is no defect of every task that meets it. A
    message of another installation is not acted on.
    """

    abstract = True

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Send the task to the workers of this installation."""
        return super().apply_async(*args, **{**options, "headers": signed(options.get("headers"))})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sender = (self.request.headers or {}).get(HEADER)
        if drop_if_foreign(sender, answered=not (self.ignore_result or self.request.ignore_result)):
            return None
        kwargs = fitting(self.name, self.run, args, kwargs)
        retry, tries = POLICIES[self.name].retry, 0
        while True:
            try:
                return self._run(*args, **kwargs)
            except TransientError as error:
                tries += 1
                wait = wait_before_next(retry, tries)
                if wait is None:
                    raise
                logger.warning("%s Trying again in %.0f s.", error, wait)
            SYSTEM.sleep(wait)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.run(*args, **kwargs)
        except DatabaseFailure as error:
            if not may_pass(error):
                raise
            raise OutOfReachError(database_sentence(error)) from None
        except LOST_BROKER as error:
            raise OutOfReachError(broker_sentence(error)) from None


def task(name: str, **options: Any) -> Callable[[Callable[..., Any]], Task[..., Any]]:
    """Register a task under its public name with its policy."""
    register: Callable[[Callable[..., Any]], Task[..., Any]] = app.task(
        name=name, base=PolicyTask, **POLICIES[name].options(), **options
    )
    return register
