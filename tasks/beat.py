"""Beat's scheduler, which goes on when the machine's clock is set back or the database is away."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import Any, ClassVar

from celery.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.db import connections
from django.db.models import Q
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from instances.db.clock import elapsed
from instances.db.errors import database_sentence
from instances.lib.clock import AHEAD
from tasks.alive import show_alive
from tasks.schedule import apply_environment, entry_conflict

logger = logging.getLogger(__name__)

PAUSE = 5.0  # seconds between two tries while the database is away


class Entry(ModelEntry):  # type: ignore[misc]
    """An entry whose last run lies in the future counts as run now: it is due after its interval.

    Raises ValueError, for which beat leaves it out, where it can't be carried out or its kind of schedule
    needs what is not installed.
    """

    last_run_at: datetime

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        if conflict := entry_conflict(model):
            logger.error("The schedule %s is left out: %s", model.name, conflict)
            raise ValueError(model.name)
        try:
            super().__init__(model, app)
        except ImproperlyConfigured:
            logger.error("The schedule %s follows the sun, which beat can't: it is left out.", model.name)
            raise ValueError(model.name) from None

    def is_due(self) -> Any:
        now: datetime = self._default_now()
        if self.last_run_at > now + AHEAD:
            self.last_run_at = self.model.last_run_at = now
        return super().is_due()


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """The database's scheduler. After a step back it plans anew what it had planned for later."""

    Entry = Entry
    _offset: float | None = None
    _is_away = False
    _is_starting: ClassVar[bool] = False

    def _get_crontab_exclude_query(self) -> Q:
        """All entries are read, as they are few: what to leave out depends on zones that may be unknown."""
        return Q()

    def setup_schedule(self) -> None:
        """Returns when the schedule could be read, the interval of the environment included.

        Celery, told to end, wants to save the schedule, and begins a second scheduler where the first one
        is still waiting for its database: then there is nothing to save.
        """
        if Scheduler._is_starting:
            raise SystemExit
        Scheduler._is_starting = True
        try:
            self._read_schedule()
        finally:
            Scheduler._is_starting = False

    def _read_schedule(self) -> None:
        while True:
            try:
                apply_environment()
                super().setup_schedule()
            except DatabaseFailure as error:
                self._tell_away(error)
                time.sleep(PAUSE)
            else:
                self._tell_back()
                return

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        offset = time.time() - elapsed()
        if self._offset is not None and self._offset - offset > AHEAD.total_seconds():
            self._heap = None
        self._offset = offset
        show_alive()
        try:
            PeriodicTasks.last_change()  # what is below would log a traceback and go on with what it has
            wait = super().tick(*args, **kwargs)
        except DatabaseFailure as error:
            self._tell_away(error)
            return PAUSE
        self._tell_back()
        return wait

    def _tell_away(self, error: DatabaseFailure) -> None:
        connections.close_all()
        if not self._is_away:
            logger.error("Beat waits for the database: %s", database_sentence(error))
        self._is_away = True

    def _tell_back(self) -> None:
        if self._is_away:
            logger.warning("The database answers beat again.")
        self._is_away = False
