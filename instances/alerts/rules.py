"""What a channel is to be told of an incident now, and when to look again: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from instances.incidents.rules import Severity

LOOK_AGAIN_COVERED = timedelta(seconds=60)
LOOK_AGAIN_CHANGING = timedelta(seconds=10)

RESOLVED = "resolved"
INFO = "info"
_TROUBLE = (Severity.WARNING.value, Severity.CRITICAL.value)


@dataclass(frozen=True)
class Timing:
    """Seconds: the hold before an instance's first message, and between reminders by severity."""

    hold: float = 30.0
    remind_critical: float = 3600.0
    remind_warning: float = 4 * 3600.0

    def reminder(self, severity: Severity) -> timedelta:
        return timedelta(
            seconds=self.remind_critical if severity is Severity.CRITICAL else self.remind_warning
        )


@dataclass(frozen=True)
class Subject:
    """What of an incident decides what is said of it. `overdue`: critical by its length alone."""

    kind: str
    severity: Severity
    confirmed_at: datetime | None = None
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    restarts: int = 0
    flapping: bool = False
    overdue: bool = False


@dataclass(frozen=True)
class Place:
    """Where an incident is; what does not apply is empty."""

    kind: str
    host: str = ""
    plan: str = ""
    customer: str = ""


@dataclass(frozen=True)
class QuietHours:
    """From `begin` to `end` by the clocks of `zone`; they may cross midnight."""

    begin: time
    end: time
    zone: tzinfo

    def over_at(self, moment: datetime) -> datetime:
        """`moment` itself outside quiet hours, else their end."""
        clock = moment.astimezone(self.zone).time()
        if self.begin <= self.end:
            quiet = self.begin <= clock < self.end
        else:
            quiet = clock >= self.begin or clock < self.end
        return self._next_end(moment) if quiet else moment

    def _next_end(self, moment: datetime) -> datetime:
        """Where clocks are put back the end comes twice, so both of a day are looked at."""
        today = moment.astimezone(self.zone).date()
        days = (today, today + timedelta(days=1))
        ends = (
            datetime.combine(day, self.end.replace(fold=fold), self.zone) for day in days for fold in (0, 1)
        )
        return min(end for end in (end.astimezone(moment.tzinfo) for end in ends) if end > moment)


@dataclass(frozen=True)
class Listener:
    """Whom a channel is for. Empty sets stand for all; with `escalate_after` it is a second line."""

    min_level: Severity = Severity.WARNING
    hosts: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    quiet: QuietHours | None = None
    escalate_after: float | None = None


@dataclass(frozen=True)
class Known:
    """What a channel was last told of an incident, when, and whether that message still waits."""

    state: str = ""
    at: datetime | None = None
    waiting: bool = False


@dataclass(frozen=True)
class Telling:
    """A message: its kind, its level, and what the channel knows once it was told."""

    kind: str
    state: str
    level: Severity


@dataclass(frozen=True)
class Decision:
    """What to tell now, if anything, and when to look again, if ever."""

    telling: Telling | None = None
    look_at: datetime | None = None


@dataclass(frozen=True)
class Moment:
    """The time, and what of the incident's surroundings matters.

    Nothing goes before `blocked_until`. `critical_since` is when a first line was told that it is
    critical.
    """

    now: datetime
    timing: Timing = Timing()
    blocked_until: datetime | None = None
    critical_since: datetime | None = None


def concerns(listener: Listener, place: Place) -> bool:
    """Whether an incident there is one of the listener's."""
    if place.kind in ("fleet", "self"):
        return True
    if listener.hosts and place.host not in listener.hosts:
        return False
    if place.kind == "host":
        return not listener.plans and not listener.customers
    return (not listener.plans or place.plan in listener.plans) and (
        not listener.customers or place.customer in listener.customers
    )


def blocked_until(
    now: datetime, *, covered: bool, muted_until: datetime | None, changing: bool
) -> datetime | None:
    """When to look again at an incident nothing may be sent for now; None when nothing is in the way.

    `covered`: a larger incident explains it. `changing`: somebody changes the instance on purpose.
    """
    moments = (
        now + LOOK_AGAIN_COVERED if covered else None,
        muted_until,
        now + LOOK_AGAIN_CHANGING if changing else None,
    )
    return max((moment for moment in moments if moment is not None), default=None)


def decide(subject: Subject, listener: Listener, known: Known, moment: Moment) -> Decision:
    """The difference between what a channel knows and what it should know, once it may be sent."""
    upcoming = _upcoming(subject, listener, known, moment)
    if upcoming is None:
        return Decision()
    telling, due = upcoming
    free = _free_at(listener, telling, max(due, moment.now), moment.blocked_until)
    if free > moment.now:
        return Decision(look_at=free)
    if telling.kind == "reminder" and known.waiting:
        return Decision(look_at=moment.now + moment.timing.reminder(subject.severity))
    then = _upcoming(subject, listener, Known(telling.state, moment.now), moment)
    return Decision(telling, look_at=then[1] if then else None)


def _free_at(listener: Listener, telling: Telling, due: datetime, blocked_until: datetime | None) -> datetime:
    free = max(due, blocked_until) if blocked_until else due
    if listener.quiet is None or telling.level is Severity.CRITICAL:
        return free
    return listener.quiet.over_at(free)


def _upcoming(
    subject: Subject, listener: Listener, known: Known, moment: Moment
) -> tuple[Telling, datetime] | None:
    """The next message for a channel and the earliest time for it, as things stand."""
    if subject.resolved_at is not None:
        return _ending(subject, listener, known, subject.resolved_at, moment.timing)
    if subject.confirmed_at is None or subject.severity.rank < listener.min_level.rank:
        return None
    if known.state == subject.severity.value and known.at is not None:
        return _reminder(subject, known.at, moment.timing)
    if listener.escalate_after is not None:
        since = moment.critical_since or subject.confirmed_at
        return _second_line(subject, since + timedelta(seconds=listener.escalate_after))
    return _trouble(subject, known, subject.confirmed_at, moment.timing)


def _ending(
    subject: Subject, listener: Listener, known: Known, resolved_at: datetime, timing: Timing
) -> tuple[Telling, datetime] | None:
    if known.state in _TROUBLE:
        kind = "summary" if subject.kind == "host" else RESOLVED
        return Telling(kind, RESOLVED, Severity.INFO), resolved_at
    hears_all = listener.min_level is Severity.INFO and listener.escalate_after is None
    if known.state or not subject.restarts or not hears_all:
        return None
    return Telling("recovered", INFO, Severity.INFO), resolved_at + timedelta(seconds=timing.hold)


def _reminder(subject: Subject, told_at: datetime, timing: Timing) -> tuple[Telling, datetime] | None:
    if subject.acknowledged_at is not None:
        return None
    telling = Telling("reminder", subject.severity.value, subject.severity)
    return telling, told_at + timing.reminder(subject.severity)


def _second_line(subject: Subject, due: datetime) -> tuple[Telling, datetime] | None:
    if subject.severity is not Severity.CRITICAL or subject.acknowledged_at is not None:
        return None
    return Telling("escalated", subject.severity.value, subject.severity), due


def _trouble(
    subject: Subject, known: Known, confirmed_at: datetime, timing: Timing
) -> tuple[Telling, datetime]:
    """The first message of a stretch is held; what has lasted, is large or got worse is not."""
    rises = known.state in _TROUBLE
    kind = "escalated" if rises else "flapping" if subject.flapping else "opened"
    telling = Telling(kind, subject.severity.value, subject.severity)
    at_once = rises or subject.kind != "instance" or subject.overdue
    return telling, confirmed_at if at_once else confirmed_at + timedelta(seconds=timing.hold)
