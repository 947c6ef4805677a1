"""Messages of another installation on the same broker, such as one made from a copy of the database.

Both know the same customers by the same numbers, so a check of theirs would be written down as ours.
Messages between dockmgr's own processes say whose they are; others' are dropped and told once. What
other services send says nothing and is done by whoever takes it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from instances.db.clock import SYSTEM
from instances.db.installation import INSTALLATION
from instances.errors import OutOfReachError

logger = logging.getLogger(__name__)

HEADER = "dockmgr_installation"
LASTING = timedelta(seconds=60)  # a database that moved to another server looks foreign for half of that
DROPPED = "A worker of another dockmgr took this message: both use one broker with the same prefix."


def signed(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """A message's headers, which also say whose it is."""
    own = INSTALLATION.id()
    return {**(headers or {}), **({HEADER: own} if own else {})}


def is_ours(headers: Mapping[str, Any] | None) -> bool:
    """Whether a message that is not foreign was sent by one of our own processes, as far as can be told."""
    return bool((headers or {}).get(HEADER)) or INSTALLATION.id() is None


class ForeignMessages:
    """Tells whose a message is, and keeps in mind for how long others' have been coming."""

    def __init__(
        self,
        own: Callable[[], str | None] = INSTALLATION.id,
        own_now: Callable[[], str | None] = INSTALLATION.refresh,
    ) -> None:
        self._own, self._own_now = own, own_now
        self._lock = threading.Lock()
        self._first: datetime | None = None
        self._last: datetime | None = None

    def is_foreign(self, sender: str | None) -> bool:
        """Whether that installation is another one. Our own may have moved, so it is asked again first."""
        if not sender or sender == self._own():
            return False
        own = self._own_now()
        return own is not None and sender != own

    def note(self, now: datetime) -> bool:
        """One was dropped. Returns whether they have been coming for so long that somebody is told."""
        with self._lock:
            if self._first is None or self._last is None or abs(now - self._last) > 2 * LASTING:
                self._first = now
                logger.warning("Messages of another dockmgr come by the same broker; they are dropped.")
            self._last = now
            return abs(now - self._first) >= LASTING


FOREIGN = ForeignMessages()


def drop_if_foreign(sender: str | None, *, answered: bool) -> bool:
    """Whether the message is another installation's and so not for us.

    Raises OutOfReachError instead where an answer is expected, so that its sender learns why.
    """
    if not FOREIGN.is_foreign(sender):
        return False
    now = SYSTEM.now()
    if FOREIGN.note(now):
        _tell(now)
    if answered:
        raise OutOfReachError(DROPPED)
    return True


def _tell(now: datetime) -> None:
    from instances.monitoring.self_check import show_life  # models, which are there when the apps are
    from instances.monitoring.self_rules import STRANGER

    show_life(STRANGER, now)
