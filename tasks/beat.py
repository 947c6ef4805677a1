"""Beat's scheduler, which goes on when the machine's clock is set back."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from instances.db.clock import elapsed
from instances.lib.clock import AHEAD


class Entry(ModelEntry):  # type: ignore[misc]
    """An entry whose last run lies in the future counts as run now: it is due after its interval."""

    last_run_at: datetime

    def is_due(self) -> Any:
        now: datetime = self._default_now()
        if self.last_run_at > now + AHEAD:
            self.last_run_at = self.model.last_run_at = now
        return super().is_due()


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """The database's scheduler. After a step back it plans anew what it had planned for later."""

    Entry = Entry
    _offset: float | None = None

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        offset = time.time() - elapsed()
        if self._offset is not None and self._offset - offset > AHEAD.total_seconds():
            self._heap = None
        self._offset = offset
        return super().tick(*args, **kwargs)
