"""The clockwork every worker does beside its work, so that it never stands in line behind checks.

Any number of processes may do it: each piece is claimed in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from instances.checks.due import is_any_due
from instances.db.clock import SYSTEM
from instances.monitoring.self_check import show_life
from instances.monitoring.self_rules import Part, queue_part
from tasks.alive import show_alive
from tasks.broker.connection import require_broker
from tasks.checks import carry_on_stalled, note_dark_hosts, publish_due
from tasks.maintenance import hand_over

HAND_OVER_EVERY = timedelta(seconds=10)


def follow_up_turn() -> None:
    """Publish the checks that are due, and those a sweep lacks. A thread of its own: late lists hold it up.

    None is taken while the broker does not answer.
    """
    now = SYSTEM.now()
    if is_any_due(now):
        require_broker()
        publish_due()
    carry_on_stalled()
    show_life(Part.CLOCKWORK, now)


class Clockwork:
    """What needs the database and the broker alone. `queues` tells which ones this process serves now."""

    def __init__(self, queues: Callable[[], Iterable[str]]) -> None:
        self._queues = queues
        self._handed_over_at: datetime | None = None

    def turn(self) -> None:
        """Show life, learn which hosts need no look, and now and then hand on what was left."""
        now = SYSTEM.now()
        served = list(self._queues())
        if served:
            show_alive()
        for queue in served:
            show_life(queue_part(queue), now)
        note_dark_hosts()
        last = self._handed_over_at
        if last is None or abs(now - last) >= HAND_OVER_EVERY:
            require_broker()
            hand_over()
            self._handed_over_at = now
