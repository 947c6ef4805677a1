"""What of a stored state can be believed: a time in the future was written by a clock that ran fast."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter

from msgspec.structs import replace

from instances.health.state import State
from instances.lib.clock import AHEAD, known

PAST = (
    "noticed_at", "recovered_at", "flaps_since", "starting_since", "checked_at", "last_healthy_at",
    "last_restart_at",
)  # fmt: skip
WAITS = ("restart_not_before", "next_check_at")
_PAST, _WAITS = attrgetter(*PAST), attrgetter(*WAITS)


def trusted(state: State, now: datetime, longest_wait: timedelta) -> State:
    """The state without times that can't be true: they were written by a clock that ran fast.

    Nothing is put off for longer than `longest_wait`. An outage that begins in the future begins now; what
    was put off by such a clock is due now. What was healthy once stays so: until the outage began, or until
    it was looked at last.
    """
    stored = _PAST(state)
    if _are_past((*stored, state.down_since), now) and _are_past(_WAITS(state), now + longest_wait):
        return state  # as almost always, and each check asks
    past = {name: known(moment, now) for name, moment in zip(PAST, stored, strict=True)}
    is_sound = tuple(past.values()) == stored
    down_since = known(state.down_since, now) or (now if state.down_since else None)
    if state.last_healthy_at is not None and past["last_healthy_at"] is None:
        past["last_healthy_at"] = down_since or past["checked_at"] or now
    longest = longest_wait if is_sound else timedelta(0)
    waits = {name: _wait(getattr(state, name), now, longest) for name in WAITS}
    return replace(state, **past, **waits, down_since=down_since)


def _are_past(moments: Iterable[datetime | None], now: datetime) -> bool:
    latest = now + AHEAD
    return all(moment is None or moment <= latest for moment in moments)


def _wait(until: datetime | None, now: datetime, longest: timedelta) -> datetime | None:
    return until if until is None or until <= now + longest + AHEAD else now
