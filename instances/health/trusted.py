"""What of a stored state can be believed: a time in the future was written by a clock that ran fast."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from instances.health.state import State
from instances.lib.clock import AHEAD, known

LONGEST_WAIT = timedelta(minutes=75)  # nothing is put off for longer
PAST = (
    "noticed_at", "recovered_at", "flaps_since", "starting_since", "checked_at", "last_healthy_at",
    "last_restart_at",
)  # fmt: skip


def trusted(state: State, now: datetime) -> State:
    """The state without times that can't be true: they were written by a clock that ran fast.

    An outage that begins in the future begins now; what was put off by such a clock is due now. What
    was healthy once stays so: until the outage began, or until it was looked at last.
    """
    past = {name: known(getattr(state, name), now) for name in PAST}
    is_sound = past == {name: getattr(state, name) for name in PAST}
    down_since = known(state.down_since, now) or (now if state.down_since else None)
    if state.last_healthy_at is not None and past["last_healthy_at"] is None:
        past["last_healthy_at"] = down_since or past["checked_at"] or now
    longest = LONGEST_WAIT if is_sound else timedelta(0)
    waits = {
        name: _wait(getattr(state, name), now, longest) for name in ("restart_not_before", "next_check_at")
    }
    return replace(state, **past, **waits, down_since=down_since)  # type: ignore[arg-type]


def _wait(until: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return until if until is None or until <= now + longest + AHEAD else now
