"""Uptime arithmetic: from changes of availability to percentages and outages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from instances.incidents.rules import Availability

NEARLY_ALWAYS = 99.9999


@dataclass(frozen=True)
class AvailabilityChange:
    """From `at` on a customer had `availability`."""

    at: datetime
    availability: Availability


@dataclass(frozen=True)
class Outage:
    """From the first down to the next up; not knowing in between does not end it.

    `recovered` is false when it ended because nobody watched any more.
    """

    began: datetime
    ended: datetime | None = None
    recovered: bool = False


@dataclass(frozen=True)
class Uptime:
    """What became of a period, in seconds, for one instance or summed over several.

    `outages` are those under way at any moment of it; of them `recoveries` ended well within it,
    after `recovery_time` in all, counted from their beginning. `down_since` is when the oldest
    outage that is not over began. `restarts_helped` of `restarts` automatic ones ended healthy.
    """

    up: float = 0.0
    down: float = 0.0
    unknown: float = 0.0
    unwatched: float = 0.0
    outages: int = 0
    recoveries: int = 0
    recovery_time: float = 0.0
    down_since: datetime | None = None
    restarts: int = 0
    restarts_helped: int = 0

    @property
    def percent(self) -> float | None:
        """Up of up and down, to four places, 100 only without any downtime; None if nothing is known."""
        if not self.up + self.down:
            return None
        exact = 100 - 100 * self.down / (self.up + self.down)
        return min(round(exact, 4), NEARLY_ALWAYS) if self.down else exact

    @property
    def mean_time_to_recover(self) -> float | None:
        """Seconds, of the outages that ended well within the period; None when none did."""
        return self.recovery_time / self.recoveries if self.recoveries else None

    def __add__(self, other: Uptime) -> Uptime:
        sums = {
            name: mine + getattr(other, name) for name, mine in vars(self).items() if name != "down_since"
        }
        open_since = [since for since in (self.down_since, other.down_since) if since is not None]
        return Uptime(**sums, down_since=min(open_since, default=None))


def measure(changes: Sequence[AvailabilityChange], since: datetime, until: datetime) -> Uptime:
    """What the period after `since`, up to and with `until`, was like.

    `changes` are in order of time and begin with the last one before the period, if there was one:
    before the first nothing is counted.
    """
    known = [change for change in changes if change.at <= until]
    spent = dict.fromkeys(Availability, 0.0)
    for change, end in zip(known, [*(later.at for later in known[1:]), until], strict=False):
        spent[change.availability] += max(0.0, (end - max(change.at, since)).total_seconds())
    concerned = [o for o in outages(known) if o.ended is None or o.ended > since]
    recoveries = [(o.ended - o.began).total_seconds() for o in concerned if o.ended and o.recovered]
    return Uptime(
        up=spent[Availability.UP],
        down=spent[Availability.DOWN],
        unknown=spent[Availability.UNKNOWN],
        unwatched=spent[Availability.UNWATCHED],
        outages=len(concerned),
        recoveries=len(recoveries),
        recovery_time=sum(recoveries),
        down_since=next((o.began for o in concerned if o.ended is None), None),
    )


def outages(changes: Sequence[AvailabilityChange]) -> list[Outage]:
    """The outages in a history, the last one perhaps not over."""
    found: list[Outage] = []
    began: datetime | None = None
    for change in changes:
        if change.availability is Availability.DOWN:
            began = began or change.at
        elif began is not None and change.availability is not Availability.UNKNOWN:
            found.append(Outage(began, change.at, change.availability is Availability.UP))
            began = None
    return found if began is None else [*found, Outage(began)]
